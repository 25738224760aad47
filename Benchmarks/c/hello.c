// The yardstick of HTTP: libmicrohttpd answering every request with one constant page from a thread of its own.
// Whatever the daemon needs beyond this is its own.
//
//   hello [BYTES [CONTENT-TYPE]]
//
// Prints its port. BYTES: the size of the page, 6 without it.
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct MHD_Response *page;

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *body, size_t *body_size, void **state) {
    static int seen;
    (void)context, (void)url, (void)method, (void)version, (void)body;
    if (*state == NULL) {
        *state = &seen;
        return MHD_YES;
    }
    *body_size = 0;
    return MHD_queue_response(connection, MHD_HTTP_OK, page);
}

int main(int count, char **arguments) {
    size_t size = count > 1 ? strtoul(arguments[1], NULL, 10) : 6;
    char *text = malloc(size + 1);
    if (text == NULL) return 1;
    memset(text, 'x', size);
    page = MHD_create_response_from_buffer(size, text, MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(page, "Content-Type", count > 2 ? arguments[2] : "text/plain");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR, &address,
                         MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)20480, MHD_OPTION_END);
    if (daemon == NULL) return 1;
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    for (;;) pause();
}
