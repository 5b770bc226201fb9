/* Preloaded, makes every fsync and fdatasync take SLOW_FSYNC_US microseconds longer: a disk slower than ours. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_for_the_disk(void) {
    const char *text = getenv("SLOW_FSYNC_US");
    long micros = text ? atol(text) : 0;
    struct timespec wait = {micros / 1000000, micros % 1000000 * 1000};
    nanosleep(&wait, NULL);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_for_the_disk();
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_for_the_disk();
    return real(file);
}
