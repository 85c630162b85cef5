/* A disk that fails now and then: loaded before the C library (LD_PRELOAD), it makes calls fail that are about files below one folder, as a file
 * that is shared with the test says. Built by the test: `cc -shared -fPIC`. Calls go to the kernel directly, so that nothing here calls itself.
 *
 * What it cannot see are calls that a program makes without the C library (renames by the crate rustix): strace does these.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* Shared with the test, which writes `one_in`, `kinds`, `seed` and `at`, and reads `calls` and `met`. */
struct control {
  uint32_t one_in; /* one call in so many fails; 0: none */
  uint32_t kinds;  /* which, as bits below */
  uint32_t seed;   /* what is drawn by lot follows from it */
  uint32_t at;     /* the one call of this number fails, and none besides; 0: as `one_in` says */
  uint32_t calls;  /* calls that were looked at */
  uint32_t met;    /* those that were made to fail */
};

enum { SYNC = 1, WRITE = 2, SHORT = 4, NAME = 8, READ = 16 };

static volatile struct control *control;
static const char *folder;
static size_t length;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAULTY_CONTROL");
  folder = getenv("FAULTY_FOLDER");
  if (!path || !folder) return;
  int file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  if (file < 0) abort();
  void *shared = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (shared == MAP_FAILED) abort();
  syscall(SYS_close, file);
  length = strlen(folder);
  control = shared;
}

static int is_ours(const char *path) { return strncmp(path, folder, length) == 0; }

static int is_ours_open(int file) {
  char link[32], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t found = syscall(SYS_readlink, link, path, sizeof path - 1);
  if (found <= 0) return 0;
  path[found] = 0;
  return is_ours(path);
}

/* splitmix64 */
static uint64_t mixed(uint64_t of) {
  of += 0x9e3779b97f4a7c15;
  of = (of ^ (of >> 30)) * 0xbf58476d1ce4e5b9;
  of = (of ^ (of >> 27)) * 0x94d049bb133111eb;
  return of ^ (of >> 31);
}

/* A number where this call is to fail, 0 where not. */
static uint64_t fails(uint32_t kind) {
  if (!(control->kinds & kind) || (!control->one_in && !control->at)) return 0;
  uint32_t call = __atomic_add_fetch(&control->calls, 1, __ATOMIC_RELAXED);
  uint64_t drawn = mixed(((uint64_t)control->seed << 32) | call);
  int now = control->at ? call == control->at : drawn % control->one_in == 0;
  if (!now) return 0;
  __atomic_add_fetch(&control->met, 1, __ATOMIC_RELAXED);
  return (drawn >> 16) | 1;
}

static int with(int error) {
  errno = error;
  return -1;
}

static int on(void) { return control && (control->one_in || control->at); }

/* Of bytes that are written: none and an error, half and an error, or half and a word of it, after which the program goes on with the rest. */
static ssize_t written(int file, const void *bytes, size_t count, off_t at, int is_at) {
  if (on() && is_ours_open(file)) {
    uint64_t drawn = fails(WRITE);
    if (drawn) {
      if (drawn & 2 && count > 1) {
        if (is_at) syscall(SYS_pwrite64, file, bytes, count / 2, at);
        else syscall(SYS_write, file, bytes, count / 2);
      }
      return with(drawn & 4 ? EIO : ENOSPC);
    }
    if (count > 1 && fails(SHORT)) count /= 2;
  }
  return is_at ? syscall(SYS_pwrite64, file, bytes, count, at) : syscall(SYS_write, file, bytes, count);
}

ssize_t write(int file, const void *bytes, size_t count) { return written(file, bytes, count, 0, 0); }
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return written(file, bytes, count, at, 1); }
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) { return written(file, bytes, count, at, 1); }

ssize_t read(int file, void *bytes, size_t count) {
  if (on() && is_ours_open(file) && fails(READ)) return with(EIO);
  return syscall(SYS_read, file, bytes, count);
}
static ssize_t read_at(int file, void *bytes, size_t count, off_t at) {
  if (on() && is_ours_open(file) && fails(READ)) return with(EIO);
  return syscall(SYS_pread64, file, bytes, count, at);
}
ssize_t pread(int file, void *bytes, size_t count, off_t at) { return read_at(file, bytes, count, at); }
ssize_t pread64(int file, void *bytes, size_t count, off64_t at) { return read_at(file, bytes, count, at); }

int fsync(int file) {
  if (on() && is_ours_open(file) && fails(SYNC)) return with(EIO);
  return (int)syscall(SYS_fsync, file);
}
int fdatasync(int file) {
  if (on() && is_ours_open(file) && fails(SYNC)) return with(EIO);
  return (int)syscall(SYS_fdatasync, file);
}

static int cut(int file, off_t to) {
  if (on() && is_ours_open(file) && fails(WRITE)) return with(EIO);
  return (int)syscall(SYS_ftruncate, file, to);
}
int ftruncate(int file, off_t to) { return cut(file, to); }
int ftruncate64(int file, off64_t to) { return cut(file, to); }

static int opened(const char *path, int flags, mode_t mode) {
  if (on() && flags & O_CREAT && is_ours(path) && fails(NAME)) return with(ENOSPC);
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
static mode_t mode_in(int flags, va_list more) { return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0; }
int open(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = mode_in(flags, more);
  va_end(more);
  return opened(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  mode_t mode = mode_in(flags, more);
  va_end(more);
  return opened(path, flags | O_LARGEFILE, mode);
}

int unlink(const char *path) {
  if (on() && is_ours(path) && fails(NAME)) return with(EIO);
  return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
int rename(const char *from, const char *to) {
  if (on() && is_ours(to) && fails(NAME)) return with(EIO);
  return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int mkdir(const char *path, mode_t mode) {
  if (on() && is_ours(path) && fails(NAME)) return with(ENOSPC);
  return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
