// The yardstick: libmicrohttpd answering every request with one constant page, from the same kind of thread that the
// daemon uses. Whatever the daemon needs beyond this is its own.
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
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

int main(void) {
    page = MHD_create_response_from_buffer(6, "hello\n", MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(page, "Content-Type", "text/plain");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL, MHD_OPTION_SOCK_ADDR, &address,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)20480, MHD_OPTION_END);
    if (daemon == NULL) return 1;
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    for (;;) pause();
}
