// What the echo servers have in common, so that they differ in nothing but their event loop.
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server_options {
  uint16_t port;
  size_t buffer_size;
  const char* backend;  // only where the program takes --backend, else NULL
  unsigned life_seconds;
  bool has_thread;
};

// What one connection could not send yet. Nothing is allocated until a send falls short.
struct backlog {
  char* bytes;
  size_t length;
  size_t sent;
};

enum echo_outcome {
  ECHO_DONE,     // wait for more to read
  ECHO_BLOCKED,  // the backlog holds bytes: wait until there is room, and do not read on
  ECHO_CLOSED,   // the peer is gone: close
};

// `usage` is printed for --help; `takes_backend` says whether --backend is known.
struct server_options parse_server_options(int argc, char** argv, const char* usage,
                                           int takes_backend);

// A second thread, which sleeps: beside one the kernel counts the users of a file in every call.
void start_thread(void);

// A non-blocking listening socket on 127.0.0.1. Prints "listening PORT".
int open_listener(const struct server_options* options);

// A descriptor that turns readable at SIGTERM, SIGINT and at the end of the server's life.
int open_stop_signal(const struct server_options* options);

// One recv and one send.
enum echo_outcome echo_once(int fd, char* buffer, size_t size, struct backlog* backlog);
enum echo_outcome flush_backlog(int fd, struct backlog* backlog);
void drop_backlog(struct backlog* backlog);

// One line of JSON about the whole run.
void print_server_totals(const char* backend, uint64_t messages, uint64_t connections);

#endif
