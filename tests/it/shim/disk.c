// A disk that can lose power, fill up and fail, a clock that can be set, and a resolver that can fall silent, for the
// daemon under test. Preloaded, it stands between the daemon and libc for every file under SHIM_ROOT. Nothing here needs
// to be root.
//
// What is durable is kept in SHIM_HOME, apart from what is merely written:
//   content/INODE  the bytes of a file as of its last fsync
//   names/...      the tree as of each directory's last fsync: hard links to the above
// so names/ is what the disk holds after a power loss that drops everything unsynced. A directory that was synced
// counts as reachable, whether or not its parent was synced. Memory maps are not followed: SQLite maps only its -shm,
// which is made anew after a crash.
//
// Three files in SHIM_HOME are read at every call:
//   faults  words such as "write=28 fsync=5 open=30": the call fails with this errno. "lie": fsync does nothing.
//   clock   seconds by which CLOCK_REALTIME is wrong
//   resolver  "silent": who looks up a name makes the file "resolving", and waits for ever
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATH (PATH_MAX + 256)

// Whether `path` lies under the root; if so, what of it follows the root.
static const char *inside(const char *path) {
    const char *root = getenv("SHIM_ROOT");
    size_t length = root ? strlen(root) : 0;
    if (!length || strncmp(path, root, length) || (path[length] && path[length] != '/')) return NULL;
    return path + length;
}

// The same for an open file.
static const char *inside_fd(int fd, char path[PATH]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX);
    path[length < 0 ? 0 : length] = 0;
    return inside(path);
}

// Where a file in SHIM_HOME is.
static const char *home(char path[PATH], const char *format, ...) {
    int at = snprintf(path, PATH, "%s/", getenv("SHIM_HOME") ?: "");
    va_list rest;
    va_start(rest, format);
    vsnprintf(path + at, PATH - at, format, rest);
    va_end(rest);
    return path;
}

// What a file in SHIM_HOME says; nothing if it is not there. Leaves errno alone.
static const char *said(const char *name, char text[256]) {
    char path[PATH];
    int before = errno;
    int fd = syscall(SYS_openat, AT_FDCWD, home(path, "%s", name), O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : syscall(SYS_read, fd, text, 255);
    if (fd >= 0) syscall(SYS_close, fd);
    text[length > 0 ? length : 0] = 0;
    errno = before;
    return text;
}

// The errno that calls of this kind fail with now, or 0.
static int fault(const char *kind) {
    char text[256];
    const char *at = strstr(said("faults", text), kind);
    return at ? atoi(at + strlen(kind)) : 0;
}

static int fails_fd(int fd, const char *kind) {
    char path[PATH];
    int before = errno, code = inside_fd(fd, path) ? fault(kind) : 0;
    errno = code ? code : before;
    return code;
}

// The bytes of an open file become durable. Its own descriptor is read where possible: closing another one of the same
// file would drop this process's POSIX locks on it.
static void keep_content(int fd) {
    static char page[1 << 16];
    char path[PATH];
    struct stat is;
    if (fstat(fd, &is)) return;
    home(path, "content/%lu", (unsigned long)is.st_ino);
    int to = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT, 0600);
    int from = fd, own = -1;
    if (syscall(SYS_pread64, fd, page, 1, 0L) < 0) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        from = own = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY);
    }
    off_t at = 0;
    for (ssize_t got; (got = syscall(SYS_pread64, from, page, sizeof page, at)) > 0; at += got)
        if (syscall(SYS_pwrite64, to, page, got, at) != got) abort();
    if (syscall(SYS_ftruncate, to, at)) abort();
    syscall(SYS_close, to);
    if (own >= 0) syscall(SYS_close, own);
}

// The names in a directory become durable: each stands for whatever of its file is.
static void keep_names(const char *real, const char *below) {
    char names[PATH], name[PATH], content[PATH], fresh[PATH];
    mkdir(home(names, "names%s", below), 0700);
    DIR *directory = opendir(real);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        struct stat is;
        if (fstatat(dirfd(directory), entry->d_name, &is, 0) || !S_ISREG(is.st_mode)) continue;
        // A file that was never synced itself is there, and empty.
        home(content, "content/%lu", (unsigned long)is.st_ino);
        syscall(SYS_close, syscall(SYS_openat, AT_FDCWD, content, O_WRONLY | O_CREAT, 0600));
        unlink(home(fresh, "link"));
        if (link(content, fresh) || rename(fresh, home(name, "names%s/%s", below, entry->d_name))) abort();
        unlink(fresh); // rename leaves it where both are one file already
    }
    if (directory) closedir(directory);
    directory = opendir(names);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (snprintf(name, PATH, "%s/%s", real, entry->d_name) >= PATH) abort();
        if (entry->d_type == DT_REG && access(name, F_OK)) unlink(home(name, "names%s/%s", below, entry->d_name));
    }
    if (directory) closedir(directory);
}

int fsync(int fd) {
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    char path[PATH], text[256];
    struct stat is;
    const char *below = inside_fd(fd, path);
    if (!below) return syscall(SYS_fsync, fd);
    if (fails_fd(fd, "fsync=")) return -1;
    if (strstr(said("faults", text), "lie")) return 0;
    int before = errno;
    pthread_mutex_lock(&one_at_a_time);
    if (!fstat(fd, &is) && S_ISDIR(is.st_mode)) keep_names(path, below);
    else keep_content(fd);
    pthread_mutex_unlock(&one_at_a_time);
    errno = before;
    return 0;
}
int fdatasync(int fd) { return fsync(fd); }

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    int here = inside(path) != NULL, writing = (flags & O_ACCMODE) != O_RDONLY, code;
    if (here && writing && (code = fault("open="))) return errno = code, -1;
    int is_new = here && flags & O_CREAT && faccessat(AT_FDCWD, path, F_OK, 0);
    int fd = syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    char kept[PATH];
    struct stat is;
    // The number of a deleted file may be given again; what was kept under it is not this file's.
    if (is_new && fd >= 0 && !fstat(fd, &is)) unlink(home(kept, "content/%lu", (unsigned long)is.st_ino));
    return fd;
}
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open(path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    return fails_fd(fd, "write=") ? -1 : syscall(SYS_write, fd, bytes, count);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t at) {
    return fails_fd(fd, "write=") ? -1 : syscall(SYS_pwrite64, fd, bytes, count, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { return pwrite64(fd, bytes, count, at); }
int ftruncate64(int fd, off_t length) { return fails_fd(fd, "write=") ? -1 : syscall(SYS_ftruncate, fd, length); }
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    char text[256];
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += atol(said("clock", text));
    return failed;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    char text[256], path[PATH];
    if (!strncmp(said("resolver", text), "silent", 6)) {
        close(syscall(SYS_openat, AT_FDCWD, home(path, "resolving"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        for (;;) pause();
    }
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(name, service, hints, found);
}
