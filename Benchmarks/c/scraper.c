// Scrapes a page again and again at a steady pace, at next to no cost of its own.
//
//   scraper PORT PATH MILLISECONDS
//
// Ends when it is told to, and prints how many pages it has read; ends with 1 if one was not "200".
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t ending;

static void end(int signal) {
    (void)signal;
    ending = 1;
}

// Reads one response with a Content-Length; whether its status is 200.
static int read_page(int client) {
    static char bytes[1 << 16];
    size_t size = 0;
    char *body = NULL;
    while (body == NULL && size < sizeof bytes - 1) {
        ssize_t count = read(client, bytes + size, sizeof bytes - 1 - size);
        if (count <= 0) return 0;
        size += (size_t)count;
        bytes[size] = 0;
        body = strstr(bytes, "\r\n\r\n");
    }
    char *length = body == NULL ? NULL : strstr(bytes, "Content-Length: ");
    if (length == NULL || strncmp(bytes, "HTTP/1.1 200", 12) != 0) return 0;
    long left = atol(length + 16) - (long)(size - (size_t)(body + 4 - bytes));
    while (left > 0) {
        ssize_t count = read(client, bytes, sizeof bytes);
        if (count <= 0) return 0;
        left -= count;
    }
    return left == 0;
}

int main(int count, char **arguments) {
    if (count != 4) return 64;
    // A page that is being read is read to its end; only the pause between pages is cut short.
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = end, .sa_flags = SA_RESTART}, NULL);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((unsigned short)atoi(arguments[1])),
    };
    if (connect(client, (struct sockaddr *)&address, sizeof address) != 0) return 1;
    char request[512];
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", arguments[2]);
    long milliseconds = atol(arguments[3]), pages = 0;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    while (!ending) {
        if (write(client, request, (size_t)size) != size || !read_page(client)) return 1;
        pages++;
        next.tv_nsec += milliseconds * 1000000;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    printf("%ld\n", pages);
}
