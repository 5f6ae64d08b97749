#include "common.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static void complain(const char* format, va_list arguments) {
  fprintf(stderr, "%s: ", program_invocation_short_name);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
}

void fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  complain(format, arguments);
  va_end(arguments);
  exit(1);
}

void misuse(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  complain(format, arguments);
  va_end(arguments);
  exit(2);
}

void fail_errno(const char* what) { fail("%s: %s", what, strerror(errno)); }

uint64_t parse_whole(const char* option, const char* text, uint64_t least, uint64_t most) {
  char* end = NULL;
  errno = 0;
  const unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < least || value > most) {
    misuse("--%s takes a whole number from %llu to %llu, not \"%s\"", option,
           (unsigned long long)least, (unsigned long long)most, text);
  }
  return value;
}

double parse_seconds(const char* option, const char* text) {
  char* end = NULL;
  const double value = strtod(text, &end);
  if (end == text || *end != '\0' || !isfinite(value) || value < 0 || value > 3600) {
    misuse("--%s takes a number of seconds from 0 to 3600, not \"%s\"", option, text);
  }
  return value;
}

void* allocate(size_t count, size_t size) {
  void* memory = calloc(count, size);
  if (memory == NULL) fail("out of memory");
  return memory;
}

uint64_t raise_descriptor_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) fail_errno("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) fail_errno("setrlimit");
  return limit.rlim_cur;
}

static double seconds_of(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

struct cpu_time own_cpu_time(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) < 0) fail_errno("getrusage");
  return (struct cpu_time){seconds_of(usage.ru_utime), seconds_of(usage.ru_stime)};
}

struct cpu_time cpu_time_of(pid_t pid) {
  char path[64];
  char text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE* file = fopen(path, "re");
  if (file == NULL) fail("process %d is not there", (int)pid);
  const size_t length = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[length] = '\0';

  // proc(5): the name, in parentheses, may hold anything; utime and stime are the 12th and 13th
  // fields after it.
  unsigned long user = 0;
  unsigned long system = 0;
  const char* rest = strrchr(text, ')');
  if (rest == NULL || sscanf(rest + 1, " %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu",
                             &user, &system) != 2) {
    fail("cannot read %s", path);
  }
  const double ticks = (double)sysconf(_SC_CLK_TCK);
  return (struct cpu_time){(double)user / ticks, (double)system / ticks};
}
