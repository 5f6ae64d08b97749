// The limit: what an echo costs with nothing between the program and epoll(7).
#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"
#include "server.h"

enum { EVENTS_A_TURN = 1024 };

static const char kUsage[] =
    "usage: echo_epoll [--port 0] [--buffer 65536] [--life 3600] [--thread]\n"
    "A TCP echo server on 127.0.0.1: level-triggered epoll, one recv and one send a message.\n"
    "Prints \"listening PORT\", and at SIGTERM or SIGINT one line of JSON: CPU seconds, messages\n"
    "(recv calls that brought bytes) and connections. Ends by itself after --life seconds.\n"
    "With --thread a second thread sleeps meanwhile, as in every Node process.\n";

static int epoll;
static char* buffer;
static size_t buffer_size;
static struct backlog* backlogs;  // by descriptor
static uint64_t descriptor_limit;
static uint64_t messages;
static uint64_t connections;

static void watch(int operation, int fd, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = fd};
  if (epoll_ctl(epoll, operation, fd, &event) < 0) fail_errno("epoll_ctl");
}

// One connection a turn: a listener with more of them stays ready, and a second try that finds
// none would be a call for nothing.
static void accept_one(int listener) {
  const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    fail_errno("accept4");
  }
  connections++;
  watch(EPOLL_CTL_ADD, fd, EPOLLIN);
}

static void serve(int fd) {
  struct backlog* backlog = &backlogs[fd];
  const bool was_blocked = backlog->bytes != NULL;
  enum echo_outcome outcome = ECHO_DONE;
  if (was_blocked) {
    outcome = flush_backlog(fd, backlog);
  } else {
    outcome = echo_once(fd, buffer, buffer_size, backlog);
    messages += outcome != ECHO_CLOSED;
  }
  if (outcome == ECHO_CLOSED) {
    drop_backlog(backlog);
    close(fd);
    return;
  }
  const bool is_blocked = outcome == ECHO_BLOCKED;
  if (is_blocked != was_blocked) watch(EPOLL_CTL_MOD, fd, is_blocked ? EPOLLOUT : EPOLLIN);
}

int main(int argc, char** argv) {
  const struct server_options options = parse_server_options(argc, argv, kUsage, false);
  descriptor_limit = raise_descriptor_limit();
  backlogs = allocate(descriptor_limit, sizeof *backlogs);
  buffer_size = options.buffer_size;
  buffer = allocate(buffer_size, 1);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) fail_errno("epoll_create1");

  const int stop = open_stop_signal(&options);
  if (options.has_thread) start_thread();
  const int listener = open_listener(&options);
  watch(EPOLL_CTL_ADD, stop, EPOLLIN);
  watch(EPOLL_CTL_ADD, listener, EPOLLIN);

  bool stopped = false;
  while (!stopped) {
    struct epoll_event events[EVENTS_A_TURN];
    const int count = epoll_wait(epoll, events, EVENTS_A_TURN, -1);
    if (count < 0 && errno != EINTR) fail_errno("epoll_wait");
    for (int i = 0; i < count; i++) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        accept_one(listener);
      } else if (fd == stop) {
        stopped = true;
      } else {
        serve(fd);
      }
    }
  }
  print_server_totals("epoll", messages, connections);
  return 0;
}
