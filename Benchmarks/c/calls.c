// The yardstick of everything that calls the provider: the same calls by a bare loop of libcurl.
//
//   calls create URL CONCURRENCY COUNT BODY     creates, COUNT of them, with this body
//   calls reconnect URL CONCURRENCY COUNT ID    what a sandbox is, then whether it is well: COUNT times the two
//
// Prints the median of their latencies in microseconds, and this process's processor time for each, in microseconds.
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct line {
    CURL *easy;
    int step;
    double start;
};

static const char *body;
static char urls[2][256];
static int steps;
static struct curl_slist *headers[2];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static double cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static size_t discard(char *bytes, size_t size, size_t count, void *context) {
    (void)bytes, (void)context;
    return size * count;
}

static void prepare(struct line *line) {
    curl_easy_setopt(line->easy, CURLOPT_URL, urls[line->step]);
    curl_easy_setopt(line->easy, CURLOPT_HTTPHEADER, headers[line->step]);
}

static int by_size(const void *left, const void *right) {
    double one = *(const double *)left, other = *(const double *)right;
    return (one > other) - (one < other);
}

int main(int count, char **arguments) {
    if (count != 6) return 64;
    int creates = strcmp(arguments[1], "create") == 0;
    long concurrency = atol(arguments[3]), wanted = atol(arguments[4]), begun = 0, done = 0;
    if (creates) {
        body = arguments[5];
        steps = 1;
        snprintf(urls[0], sizeof urls[0], "%s/sandboxes", arguments[2]);
        headers[0] = curl_slist_append(headers[0], "Content-Type: application/json");
    } else {
        steps = 2;
        snprintf(urls[0], sizeof urls[0], "%s/sandboxes/%s", arguments[2], arguments[5]);
        snprintf(urls[1], sizeof urls[1], "%s/health", arguments[2]);
        char header[192];
        snprintf(header, sizeof header, "E2b-Sandbox-Id: %s", arguments[5]);
        headers[1] = curl_slist_append(headers[1], header);
        headers[1] = curl_slist_append(headers[1], "E2b-Sandbox-Port: 49983");
    }
    headers[0] = curl_slist_append(headers[0], "X-API-Key: e2b_" "0123456789abcdef0123456789abcdef01234567");
    for (int step = 0; step < steps; step++) headers[step] = curl_slist_append(headers[step], "Accept: application/json");

    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    // As many connections as the daemon opens to one host.
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, 16L);
    struct line *lines = calloc((size_t)concurrency, sizeof *lines);
    double *latencies = calloc((size_t)wanted, sizeof *latencies);
    double began = cpu();
    for (long number = 0; number < concurrency && begun < wanted; number++, begun++) {
        struct line *line = &lines[number];
        line->easy = curl_easy_init();
        curl_easy_setopt(line->easy, CURLOPT_WRITEFUNCTION, discard);
        curl_easy_setopt(line->easy, CURLOPT_PRIVATE, line);
        curl_easy_setopt(line->easy, CURLOPT_USERAGENT, "sandbox-manager");
        if (creates) curl_easy_setopt(line->easy, CURLOPT_POSTFIELDS, body);
        prepare(line);
        line->start = now();
        curl_multi_add_handle(multi, line->easy);
    }
    while (done < wanted) {
        int running, left;
        curl_multi_perform(multi, &running);
        CURLMsg *message;
        while ((message = curl_multi_info_read(multi, &left)) != NULL) {
            struct line *line;
            long status = 0;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &line);
            curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
            if (message->data.result != CURLE_OK || status / 100 != 2) {
                fprintf(stderr, "a call failed: %s, status %ld\n", curl_easy_strerror(message->data.result), status);
                return 1;
            }
            curl_multi_remove_handle(multi, line->easy);
            if (++line->step == steps) {
                line->step = 0;
                latencies[done++] = now() - line->start;
                if (begun == wanted) continue;
                begun++;
                line->start = now();
            }
            prepare(line);
            curl_multi_add_handle(multi, line->easy);
            // Sent now, not at the next turn of the loop.
            curl_multi_perform(multi, &running);
        }
        if (done < wanted) curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    double spent = (cpu() - began) / (double)wanted;
    qsort(latencies, (size_t)wanted, sizeof *latencies, by_size);
    printf("%.1f %.2f\n", latencies[wanted / 2], spent);
}
