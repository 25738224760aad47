// Forgets a block of memory; scripts/sanitize.sh wants to hear of it before it believes that nothing leaks.
#include <stdlib.h>

static void *volatile kept;

int main(void) {
    kept = malloc(4096);
    kept = NULL;
    return 0;
}
