// For sandbox-init, which starts with an empty environment and ends as process 1 of a sandbox: no look for leaks there.
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0:exitcode=99"; }
