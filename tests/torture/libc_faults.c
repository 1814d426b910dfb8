/* Preloaded before libc: counts, logs, and breaks the calls that change files under one folder.
 *
 * SQLite, Python and everything else in the process pass through here, so a harness sees each
 * step of a writer without one line in the code under test. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OFF, COUNT, KILL, TEAR, FAIL };
static char root[4096];
static size_t root_length;
static int mode = OFF, error_number, log_fd = -1, hits;
static long at, calls;

static int (*real_open)(const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_ftruncate)(int, off_t);
static int (*real_rename)(const char *, const char *), (*real_unlink)(const char *);
static int (*real_unlinkat)(int, const char *, int), (*real_rmdir)(const char *);
static int (*real_mkdir)(const char *, mode_t);

__attribute__((constructor)) static void find(void) {
    real_open = dlsym(RTLD_NEXT, "open");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    real_rename = dlsym(RTLD_NEXT, "rename");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    real_unlinkat = dlsym(RTLD_NEXT, "unlinkat");
    real_rmdir = dlsym(RTLD_NEXT, "rmdir");
    real_mkdir = dlsym(RTLD_NEXT, "mkdir");
}

void faults_arm(const char *folder, int what, long k, int error, const char *log) {
    strncpy(root, folder, sizeof root - 1);
    root_length = strlen(root);
    at = k, error_number = error, calls = 0, hits = 0;
    if (log) log_fd = real_open(log, O_CREAT | O_WRONLY | O_APPEND, 0600);
    mode = what;
}
void faults_disarm(void) { mode = OFF; }
long faults_calls(void) { return calls; }
int faults_hits(void) { return hits; }

static int inside(const char *path) {
    return mode && path && !strncmp(path, root, root_length) && !strstr(path, "writer.");
}
/* The folder that the collection's own folder stands in: its sync makes that name durable. */
static int holds_root(const char *path) {
    size_t n = strlen(path);
    return n && n < root_length && !strncmp(path, root, n) && root[n] == '/' && !strchr(root + n + 1, '/');
}
static const char *path_of(int fd, char *buffer) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, buffer, 4095);
    buffer[n < 0 ? 0 : n] = 0;
    return buffer;
}
static void record(char op, const char *path, long offset, const void *data, long size) {
    if (log_fd < 0) return;
    long numbers[3] = {(long)strlen(path), offset, size};
    real_write(log_fd, &op, 1);
    real_write(log_fd, numbers, sizeof numbers);
    real_write(log_fd, path, numbers[0]);
    if (size) real_write(log_fd, data, size);
}
void faults_mark(void) { record('A', "", 0, "", 0); }

/* Whether this call is to fail; a call that is to kill does not return. */
static int strikes(void) {
    if (++calls != at) return 0;
    if (mode == KILL || mode == TEAR) raise(SIGKILL);
    if (mode != FAIL) return 0;
    hits++;
    errno = error_number;
    return 1;
}

static int opened(const char *path, int flags, mode_t permission) {
    int watched = inside(path) && (mode == FAIL || flags & (O_CREAT | O_WRONLY | O_RDWR));
    if (watched && !(flags & O_CREAT) && mode != FAIL) watched = 0;
    int existed = watched ? !access(path, F_OK) : 1;
    if (watched && (mode == FAIL || !existed) && strikes()) return -1;
    int fd = real_open(path, flags, permission);
    if (fd >= 0 && watched && !existed) record('C', path, 0, "", 0);
    if (fd >= 0 && watched && existed && flags & O_TRUNC) record('T', path, 0, "", 0);
    return fd;
}
#define OPEN(name)                                       \
    int name(const char *path, int flags, ...) {         \
        mode_t permission = 0;                           \
        if (flags & O_CREAT) {                           \
            va_list rest;                                \
            va_start(rest, flags);                       \
            permission = va_arg(rest, int);              \
            va_end(rest);                                \
        }                                                \
        return opened(path, flags, permission);          \
    }
OPEN(open)
OPEN(open64)

static ssize_t written(int fd, const void *data, size_t size, off_t offset, int seeks) {
    char buffer[4096];
    if (!mode || !inside(path_of(fd, buffer)))
        return seeks ? real_write(fd, data, size) : real_pwrite(fd, data, size, offset);
    if (seeks) offset = lseek(fd, 0, SEEK_CUR);
    if (mode == TEAR && calls + 1 == at) real_pwrite(fd, data, size / 2, offset);
    if (strikes()) return -1;
    ssize_t n = seeks ? real_write(fd, data, size) : real_pwrite(fd, data, size, offset);
    if (n > 0) record('W', buffer, offset, data, n);
    return n;
}
ssize_t write(int fd, const void *data, size_t size) { return written(fd, data, size, 0, 1); }
ssize_t pwrite(int fd, const void *d, size_t n, off_t o) { return written(fd, d, n, o, 0); }
ssize_t pwrite64(int fd, const void *d, size_t n, off_t o) { return written(fd, d, n, o, 0); }

static int synced(int fd, int (*real)(int)) {
    char buffer[4096];
    if (!mode || !(inside(path_of(fd, buffer)) || holds_root(buffer))) return real(fd);
    if (strikes()) return -1;
    record('S', buffer, 0, "", 0); /* the harness simulates the disk: no need to wait for it */
    return 0;
}
int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

static int truncated(int fd, off_t size) {
    char buffer[4096];
    if (!mode || !inside(path_of(fd, buffer))) return real_ftruncate(fd, size);
    if (strikes()) return -1;
    record('T', buffer, size, "", 0);
    return real_ftruncate(fd, size);
}
int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off_t size) { return truncated(fd, size); }

int rename(const char *from, const char *to) {
    if (!inside(from)) return real_rename(from, to);
    if (strikes()) return -1;
    int done = real_rename(from, to);
    if (!done) record('R', from, 0, to, strlen(to));
    return done;
}
int unlink(const char *path) {
    if (!inside(path)) return real_unlink(path);
    if (access(path, F_OK)) return real_unlink(path);
    if (strikes()) return -1;
    int done = real_unlink(path);
    if (!done) record('U', path, 0, "", 0);
    return done;
}
int rmdir(const char *path) {
    if (!inside(path)) return real_rmdir(path);
    if (strikes()) return -1;
    int done = real_rmdir(path);
    if (!done) record('D', path, 0, "", 0);
    return done;
}
int unlinkat(int fd, const char *name, int flags) {
    char buffer[8192];
    if (!mode || fd == AT_FDCWD || !inside(path_of(fd, buffer))) return real_unlinkat(fd, name, flags);
    strcat(strcat(buffer, "/"), name);
    if (strikes()) return -1;
    int done = real_unlinkat(fd, name, flags);
    if (!done) record(flags & AT_REMOVEDIR ? 'D' : 'U', buffer, 0, "", 0);
    return done;
}
int mkdir(const char *path, mode_t permission) {
    if (!inside(path) || !access(path, F_OK)) return real_mkdir(path, permission);
    if (strikes()) return -1;
    int done = real_mkdir(path, permission);
    if (!done) record('M', path, 0, "", 0);
    return done;
}
