/* Stands in front of the unmodified program (LD_PRELOAD) and numbers the boundaries it comes to: the calls by which it
 * changes the disk, talks to the network or writes what it shows. What a killed process leaves behind is what the calls
 * before did, so a kill just before each of them, one after the other, leaves no state out.
 *
 * FAULT_LOG  the file that gets a line for each boundary when it is reached: number, seconds, call and target
 * FAULT      absent  nothing happens but the log
 *            kill:N  SIGKILL just before call N
 *            full:N  the disk is full from the N-th call on that needs room
 *            sync:N  the N-th fsync or fdatasync reports a broken disk
 *            cut:N   the connection to the ledger's server is cut just before the N-th call that sends or receives on it
 * FAULT_PORT the port of the ledger's server, where it is on one
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

enum sort { PLAIN, FILLS, SYNCS, TALKS };

static enum { NONE, KILL, FULL, SYNC, CUT } fault;
static long wanted;
static atomic_long reached; /* by any thread; under a fault of the disk, of the calls that it can hit */
static int log_fd = -1, server_port;

__attribute__((constructor)) static void begin(void) {
    static const char *const forms[] = {[KILL] = "kill:%ld", [FULL] = "full:%ld", [SYNC] = "sync:%ld", [CUT] = "cut:%ld"};
    const char *asked = getenv("FAULT"), *path = getenv("FAULT_LOG"), *port = getenv("FAULT_PORT");
    server_port = port ? atoi(port) : 0;
    for (int kind = KILL; asked && kind <= CUT; kind++)
        if (sscanf(asked, forms[kind], &wanted) == 1) fault = kind;
    int low = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    int high = fcntl(low, F_DUPFD_CLOEXEC, 500); /* the program's files keep the numbers they have without us */
    close(low);
    if (high < 0 || (asked && !fault)) abort(); /* a harness that sees nothing must not pass */
    log_fd = high;
}

/* Note that a call is about to be made; die here, or say that it shall fail, if that was asked for. */
static bool fails(enum sort sort, const char *call, const char *target) {
    if (log_fd < 0) return false; /* the program has not begun */
    static const enum sort hit[] = {[FULL] = FILLS, [SYNC] = SYNCS, [CUT] = TALKS};
    bool counts = fault < FULL || sort == hit[fault];
    long number = counts ? atomic_fetch_add(&reached, 1) + 1 : 0;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char line[4600];
    int size = snprintf(line, sizeof line, "%ld %ld.%09ld %s %s\n", number, now.tv_sec, now.tv_nsec, call, target);
    if (REAL(write)(log_fd, line, size) != size) abort(); /* at once: what is kept back dies with the process */
    if (fault == KILL && number == wanted) kill(getpid(), SIGKILL);
    if (!counts || fault < FULL || (fault == FULL ? number < wanted : number != wanted)) return false;
    errno = fault == FULL ? ENOSPC : EIO;
    return true;
}

/* IPv4 and IPv6 have the port in the same place. */
static bool is_server(const struct sockaddr *address) {
    bool has_port = address->sa_family == AF_INET || address->sa_family == AF_INET6;
    return server_port && has_port && ntohs(((const struct sockaddr_in *)address)->sin_port) == server_port;
}

static enum sort talking(int fd) {
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    return getpeername(fd, (struct sockaddr *)&peer, &size) == 0 && is_server((void *)&peer) ? TALKS : PLAIN;
}

static const char *file(int fd) {
    if (talking(fd) == TALKS) return "server";
    static _Thread_local char target[4097];
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, target, sizeof target - 1);
    target[size < 0 ? 0 : size] = 0;
    return target;
}

static enum sort growing(int fd, off_t size) {
    struct stat now;
    return fstat(fd, &now) == 0 && S_ISREG(now.st_mode) && size > now.st_size ? FILLS : PLAIN;
}

/* Overwriting a file needs room too: so it is on file systems that copy on write. */
static enum sort filling(int fd) {
    return growing(fd, (off_t)1 << 62);
}

static enum sort making(const char *path) {
    return access(path, F_OK) ? FILLS : PLAIN;
}

#define BOUNDARY(result, name, parameters, arguments, sort, target) \
    result name parameters { return fails(sort, #name, target) ? -1 : REAL(name) arguments; }

BOUNDARY(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size), filling(fd), file(fd))
BOUNDARY(ssize_t, writev, (int fd, const struct iovec *data, int n), (fd, data, n), filling(fd), file(fd))
BOUNDARY(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at), filling(fd),
         file(fd))
BOUNDARY(ssize_t, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), filling(fd),
         file(fd))
BOUNDARY(int, ftruncate, (int fd, off_t size), (fd, size), growing(fd, size), file(fd))
BOUNDARY(int, ftruncate64, (int fd, off64_t size), (fd, size), growing(fd, size), file(fd))
BOUNDARY(int, fsync, (int fd), (fd), SYNCS, file(fd))
BOUNDARY(int, fdatasync, (int fd), (fd), SYNCS, file(fd))
BOUNDARY(int, rename, (const char *from, const char *to), (from, to), PLAIN, to)
BOUNDARY(int, renameat, (int dir, const char *from, int other, const char *to), (dir, from, other, to), PLAIN, to)
BOUNDARY(int, unlink, (const char *path), (path), PLAIN, path)
BOUNDARY(int, mkdir, (const char *path, mode_t mode), (path, mode), making(path), path)
BOUNDARY(int, connect, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size), PLAIN,
         is_server(to) ? "server" : file(fd))

#define TALK(name, parameters, arguments) \
    ssize_t name parameters { \
        if (fails(talking(fd), #name, file(fd))) shutdown(fd, SHUT_RDWR); \
        return REAL(name) arguments; \
    }

TALK(send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
TALK(sendto, (int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t n),
     (fd, data, size, flags, to, n))
TALK(sendmsg, (int fd, const struct msghdr *data, int flags), (fd, data, flags))
TALK(recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
TALK(recvfrom, (int fd, void *data, size_t size, int flags, struct sockaddr *from, socklen_t *n),
     (fd, data, size, flags, from, n))

/* Opening changes the disk only where it makes or empties a file. */
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    enum sort sort = flags & O_CREAT ? making(path) : PLAIN;
    if ((sort == FILLS || flags & O_TRUNC) && fails(sort, "open", path)) return -1;
    return REAL(open64)(path, flags, mode);
}
