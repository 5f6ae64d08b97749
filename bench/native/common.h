// What every program of the benchmark needs: a clock, numbers from the command line, CPU time.
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NS_PER_SECOND 1000000000ULL

struct cpu_time {
  double user_seconds;
  double system_seconds;
};

// Monotonic time in nanoseconds.
uint64_t now_ns(void);

// Prints "PROGRAM: message" and ends the program: with 1, or for a mistake of the caller with 2.
_Noreturn void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void misuse(const char* format, ...) __attribute__((format(printf, 1, 2)));

// fail() with what errno says.
_Noreturn void fail_errno(const char* what);

// The value of an option; misuse() unless it is a number from least to most.
uint64_t parse_whole(const char* option, const char* text, uint64_t least, uint64_t most);
double parse_seconds(const char* option, const char* text);

void* allocate(size_t count, size_t size);

// As many descriptors as the hard limit grants; returns how many that is.
uint64_t raise_descriptor_limit(void);

// CPU time of this process, and of any process (in clock ticks, usually 10 ms). The sum is exact;
// on most kernels user and system time are told apart by samples, so a small part needs a long run.
struct cpu_time own_cpu_time(void);
struct cpu_time cpu_time_of(pid_t pid);

#endif
