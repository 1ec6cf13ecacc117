/* Pulls the plug: kills a program before the N-th step that it takes on the disk in one folder.
 *
 *     PLUG_FOLDER=/… PLUG_AT=7 PLUG_LOG=/… LD_PRELOAD=./plug.so program …
 *
 * A step changes a file or a name, or makes a change durable: making and opening for writing,
 * truncating, each half of a write, fsync, rename, unlink. Steps are counted over all threads and
 * noted in the log before they are taken; without PLUG_AT they are only counted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int steps;

static int inside(const char *path) {
    const char *folder = getenv("PLUG_FOLDER");
    char whole[1024];
    if (path[0] && path[0] != '/' && getcwd(whole, 512)) {
        size_t length = strlen(whole);
        snprintf(whole + length, sizeof whole - length, "/%s", path);
        path = whole;
    }
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static void step(const char *what, const char *path) {
    if (!inside(path))
        return;
    int number = atomic_fetch_add(&steps, 1) + 1;
    const char *at = getenv("PLUG_AT"), *log = getenv("PLUG_LOG");
    char line[512];
    const char *name = strrchr(path, '/');
    int length = snprintf(line, sizeof line, "%d %s %s\n", number, what, name ? name + 1 : path);
    int fd = log ? syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (fd >= 0) {
        syscall(SYS_write, fd, line, length);
        syscall(SYS_close, fd);
    }
    if (at && atoi(at) == number) {
        kill(getpid(), SIGKILL);
        for (;;)
            pause();
    }
}

/* The path of an open file; empty when it has none. */
static const char *path_of(int fd, char path[512]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, 511);
    path[length > 0 ? length : 0] = 0;
    return path;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                  \
        va_end(rest);                                                                              \
        if (flags & O_CREAT)                                                                       \
            step("open", path);                                                                    \
        return NEXT(name)(path, flags, mode);                                                      \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *bytes, size_t count) {
    static _Thread_local int rest;
    char path[512];
    if (!inside(path_of(fd, path)))
        return NEXT(write)(fd, bytes, count);
    step(rest ? "write the rest of" : "write half of", path);
    /* A short write: the caller comes back for the rest. */
    rest = !rest && count > 1;
    return NEXT(write)(fd, bytes, rest ? count / 2 : count);
}

int fsync(int fd) {
    char path[512];
    step("fsync", path_of(fd, path));
    return NEXT(fsync)(fd);
}

int fdatasync(int fd) {
    char path[512];
    step("fdatasync", path_of(fd, path));
    return NEXT(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t length) {
    char path[512];
    step("truncate", path_of(fd, path));
    return NEXT(ftruncate64)(fd, length);
}

int rename(const char *from, const char *to) {
    step("rename", to);
    return NEXT(rename)(from, to);
}

int unlink(const char *path) {
    step("unlink", path);
    return NEXT(unlink)(path);
}

int mkdir(const char *path, mode_t mode) {
    step("mkdir", path);
    return NEXT(mkdir)(path, mode);
}
