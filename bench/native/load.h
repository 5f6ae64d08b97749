// What the parts of the load generator share: its options, its figures, and the ways to connect.
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common.h"
#include "histogram.h"

enum load_mode { MODE_STREAM, MODE_CHURN, MODE_IDLE };

struct load_options {
  enum load_mode mode;
  struct sockaddr_in server;
  uint32_t connections;
  size_t size;        // bytes of a message
  uint32_t pipeline;  // messages outstanding on each connection (closed loop)
  double rate;        // messages a second over all connections; 0: closed loop
  double seconds;
  double warmup;
  bool check;
  bool line;
  pid_t server_pid;  // whose CPU time is reported too; 0: nobody's
};

// The figures of one run. Those before `start`, the warm-up, and after `stop` are not counted.
struct measure {
  uint64_t start;
  uint64_t stop;
  uint64_t messages;
  uint64_t bytes;       // that came back, of messages not complete too
  uint64_t late;        // open loop: handed to the kernel more than LATE_NS after the intended time
  uint64_t unanswered;  // sent or meant to be sent, and not echoed when the run was over
  uint64_t errors;
  struct histogram latency;
  struct cpu_time own[2];  // at the start and at the stop
  struct cpu_time server[2];
  bool started;
  bool stopped;
};

#define LATE_NS 1000000ULL

// How long the run waits, after its end, for echoes still under way.
#define DRAIN_NS (5 * NS_PER_SECOND)

struct load_options parse_load_options(int argc, char** argv);

void measure_begin(struct measure* measure, const struct load_options* options);
// To be called often: takes the CPU times when the window begins and when it ends.
void measure_tick(struct measure* measure, const struct load_options* options, uint64_t now);
// A message that was sent, or was to be sent, at `since` and came back at `now`.
void measure_message(struct measure* measure, const struct load_options* options, uint64_t since,
                     uint64_t now);
// Bytes that came back at `now`.
void measure_bytes(struct measure* measure, size_t count, uint64_t now);
// Prints the line of JSON.
void measure_report(const struct measure* measure, const struct load_options* options);

// A socket with TCP_NODELAY. Towards 127.0.0.0/8 it is bound to one of several source addresses,
// by turns, so that ports in TIME_WAIT or in use do not run out.
int open_source_socket(const struct load_options* options, uint32_t turn, int flags);

// Connects all: the array of descriptors is the caller's to free. Returns when the server has
// accepted each of them.
int* connect_all(const struct load_options* options);

// A buffer of messages, one after another, of random bytes that differ from message to message.
// With --line each ends in a newline and has no other.
struct pattern {
  char* bytes;
  size_t length;  // a multiple of the size of a message
};
struct pattern make_pattern(const struct load_options* options);

void run_stream(const struct load_options* options, struct measure* measure);
void run_churn(const struct load_options* options, struct measure* measure);
void run_idle(const struct load_options* options, struct measure* measure);

#endif
