// A stand-in for E2B's cloud that costs next to nothing: creates, details, listings, probes and kills, always answered,
// all sandboxes remembered. Not a test double (fake-e2b is one): it checks nothing and has no faults.
//
//   cloud MILLISECONDS
//
// MILLISECONDS: how long each answer takes; 0 for at once. Prints its port, which serves the control plane and the edge.
// Besides, GET /counts tells how often it was asked for what, and GET /last-create the body of the last create.
#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_SANDBOXES = 4 << 20, PAGE = 100, BODY = 4096 };
enum call { CREATE, GET, LIST, HEALTH, KILL, OTHER, CALLS };
static const char *const names[CALLS] = {"create", "get", "list", "health", "kill", "other"};

struct sandbox {
    char *metadata;  // a JSON object; NULL once it was killed
    time_t start, end;
};

struct request {
    size_t size;
    char body[BODY];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sandbox *sandboxes;
static unsigned long made;
static unsigned long counts[CALLS];
static char last_create[BODY];
static unsigned delay;

static void rfc3339(time_t time, char text[static 32]) {
    struct tm utc;
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&time, &utc));
}

static int describe(unsigned long number, char *text, size_t size) {
    char start[32], end[32];
    rfc3339(sandboxes[number].start, start);
    rfc3339(sandboxes[number].end, end);
    return snprintf(text, size,
                    "{\"sandboxID\":\"i%08lu\",\"templateID\":\"base\",\"envdAccessToken\":\"tok\",\"clientID\":\"c\","
                    "\"startedAt\":\"%s\",\"endAt\":\"%s\",\"state\":\"running\",\"metadata\":%s}",
                    number, start, end, sandboxes[number].metadata);
}

// The sandbox that a path names, or -1.
static long named(const char *path) {
    unsigned long number;
    if (sscanf(path, "/sandboxes/i%8lu", &number) != 1 || number >= made || sandboxes[number].metadata == NULL) return -1;
    return (long)number;
}

static int create(struct request *request, char *text, size_t size) {
    // The metadata are flat, and the daemon's benchmarks have no braces in their names.
    char *begin = strstr(request->body, "\"metadata\":{"), *timeout = strstr(request->body, "\"timeout\":");
    char *end = begin == NULL ? NULL : strchr(begin, '}');
    if (end == NULL || timeout == NULL || made == MOST_SANDBOXES) return -1;
    begin += strlen("\"metadata\":");
    time_t now = time(NULL);
    unsigned long number = made++;
    sandboxes[number] = (struct sandbox){
        .metadata = strndup(begin, (size_t)(end - begin) + 1),
        .start = now,
        .end = now + atol(timeout + strlen("\"timeout\":")),
    };
    memcpy(last_create, request->body, request->size + 1);
    return snprintf(text, size,
                    "{\"sandboxID\":\"i%08lu\",\"templateID\":\"base\",\"envdAccessToken\":\"tok\",\"clientID\":\"c\"}",
                    number);
}

static struct MHD_Response *text_response(const char *text, size_t size) {
    struct MHD_Response *response = MHD_create_response_from_buffer(size, (void *)text, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", "application/json");
    return response;
}

// A page of the listing, from the sandbox that `token` names on.
static struct MHD_Response *list(const char *token) {
    static char page[PAGE * BODY];
    size_t size = 0;
    unsigned long number = token == NULL ? 0 : strtoul(token, NULL, 10), running = 0, shown = 0;
    page[size++] = '[';
    for (; number < made && shown < PAGE; number++) {
        if (sandboxes[number].metadata == NULL) continue;
        if (shown++ > 0) page[size++] = ',';
        size += (size_t)describe(number, page + size, BODY);
    }
    page[size++] = ']';
    struct MHD_Response *response = text_response(page, size);
    char header[32];
    if (number < made) {
        snprintf(header, sizeof header, "%lu", number);
        MHD_add_response_header(response, "X-Next-Token", header);
    }
    for (unsigned long other = 0; other < made; other++) running += sandboxes[other].metadata != NULL;
    snprintf(header, sizeof header, "%lu", running);
    MHD_add_response_header(response, "X-Total-Running", header);
    return response;
}

static struct MHD_Response *count_response(void) {
    char text[512];
    size_t size = 0;
    text[size++] = '{';
    for (int call = 0; call < CALLS; call++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s\"%s\": %lu", call > 0 ? ", " : "", names[call],
                                 counts[call]);
    text[size++] = '}';
    return text_response(text, size);
}

// With the mutex locked.
static struct MHD_Response *answer(struct MHD_Connection *connection, const char *path, const char *method,
                                   struct request *request, unsigned *status) {
    char text[BODY];
    int size = 0;
    long number;
    *status = MHD_HTTP_OK;
    if (strcmp(path, "/counts") == 0) return count_response();
    if (strcmp(path, "/last-create") == 0) return text_response(last_create, strlen(last_create));
    if (strncmp(path, "/v2", 3) == 0) path += 3;
    if (strcmp(path, "/health") == 0) {
        counts[HEALTH]++;
        *status = MHD_HTTP_NO_CONTENT;
    } else if (strcmp(path, "/sandboxes") == 0 && strcmp(method, "POST") == 0) {
        counts[CREATE]++;
        size = create(request, text, sizeof text);
        *status = size < 0 ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_CREATED;
    } else if (strcmp(path, "/sandboxes") == 0) {
        counts[LIST]++;
        return list(MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "nextToken"));
    } else if ((number = named(path)) < 0) {
        *status = MHD_HTTP_NOT_FOUND;
        size = snprintf(text, sizeof text, "{\"code\":404,\"message\":\"not found\"}");
    } else if (strcmp(method, "DELETE") == 0) {
        counts[KILL]++;
        free(sandboxes[number].metadata);
        sandboxes[number].metadata = NULL;
        *status = MHD_HTTP_NO_CONTENT;
    } else if (strcmp(method, "GET") == 0) {
        counts[GET]++;
        size = describe((unsigned long)number, text, sizeof text);
    } else {
        counts[OTHER]++;
        *status = MHD_HTTP_NO_CONTENT;
    }
    return text_response(text, size < 0 ? 0 : (size_t)size);
}

static enum MHD_Result serve(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                             const char *version, const char *body, size_t *body_size, void **state) {
    (void)context, (void)version;
    struct request *request = *state;
    if (request == NULL) {
        *state = request = calloc(1, sizeof *request);
        return request == NULL ? MHD_NO : MHD_YES;
    }
    if (*body_size > 0) {
        if (request->size + *body_size >= BODY) return MHD_NO;
        memcpy(request->body + request->size, body, *body_size);
        request->size += *body_size;
        *body_size = 0;
        return MHD_YES;
    }
    if (delay > 0) usleep(1000 * delay);
    pthread_mutex_lock(&mutex);
    unsigned status;
    struct MHD_Response *response = answer(connection, path, method, request, &status);
    pthread_mutex_unlock(&mutex);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code) {
    (void)context, (void)connection, (void)code;
    free(*state);
    *state = NULL;
}

int main(int count, char **arguments) {
    delay = count > 1 ? (unsigned)atoi(arguments[1]) : 0;
    sandboxes = calloc(MOST_SANDBOXES, sizeof *sandboxes);
    if (sandboxes == NULL) return 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    // Whoever sleeps needs a thread for each connection.
    unsigned flags = delay > 0 ? MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL
                               : MHD_USE_EPOLL_INTERNAL_THREAD;
    struct MHD_Daemon *daemon = MHD_start_daemon(flags, 0, NULL, NULL, serve, NULL, MHD_OPTION_SOCK_ADDR, &address,
                                                 MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_END);
    if (daemon == NULL) return 1;
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    for (;;) pause();
}
