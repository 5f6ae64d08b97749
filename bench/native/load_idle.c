// Many connections that do nothing, while whoever started this looks at the server's memory; then
// messages back and forth on one of them.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

// Nobody is expected to look longer than this.
enum { LONGEST_IDLE_MS = 600000 };

// False when standard input ended instead.
static bool await_line(void) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  const int ready = poll(&input, 1, LONGEST_IDLE_MS);
  if (ready < 0) fail_errno("poll");
  if (ready == 0) fail("no line on standard input for %d s", LONGEST_IDLE_MS / 1000);
  char line[256];
  return fgets(line, sizeof line, stdin) != NULL;
}

static bool exchange(int fd, const char* message, char* answer,
                     const struct load_options* options) {
  const ssize_t size = (ssize_t)options->size;
  if (send(fd, message, options->size, MSG_NOSIGNAL) != size) return false;
  if (recv(fd, answer, options->size, MSG_WAITALL) != size) return false;
  return !options->check || memcmp(message, answer, options->size) == 0;
}

static void ping_pong(int fd, const struct load_options* options, struct measure* measure) {
  struct pattern pattern = make_pattern(options);
  char* answer = allocate(options->size, 1);
  size_t first = 0;
  measure_begin(measure, options);
  uint64_t now = now_ns();
  while (now < measure->stop) {
    measure_tick(measure, options, now);
    const uint64_t since = now;
    if (!exchange(fd, pattern.bytes + first, answer, options)) {
      measure->errors++;
      break;
    }
    now = now_ns();
    measure_message(measure, options, since, now);
    measure_bytes(measure, options->size, now);
    first = (first + options->size) % pattern.length;
  }
  free(answer);
  free(pattern.bytes);
}

void run_idle(const struct load_options* options, struct measure* measure) {
  int* sockets = connect_all(options);
  printf("ready\n");
  fflush(stdout);
  // The middle one: neither the first nor the last that the server has in its tables.
  if (await_line()) ping_pong(sockets[options->connections / 2], options, measure);
  for (uint32_t i = 0; i < options->connections; i++) close(sockets[i]);
  free(sockets);
}
