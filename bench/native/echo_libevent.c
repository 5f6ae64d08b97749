// The same echo as echo_epoll.c, with libevent's events for the loop: persistent read events and
// plain recv and send, not bufferevents, which would measure copies.
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"
#include "libevent_base.h"
#include "server.h"

static const char kUsage[] =
    "usage: echo_libevent [--port 0] [--buffer 65536] [--backend select|poll|epoll] [--life 3600]\n"
    "A TCP echo server on 127.0.0.1 over libevent: one recv and one send a message.\n"
    "Prints \"listening PORT\", and at SIGTERM or SIGINT one line of JSON: CPU seconds, messages\n"
    "(recv calls that brought bytes) and connections. Ends by itself after --life seconds.\n";

struct connection {
  struct event* readable;
  struct event* writable;  // made when a send falls short for the first time
  struct backlog backlog;
};

static struct event_base* base;
static char* buffer;
static size_t buffer_size;
static uint64_t messages;
static uint64_t connections;

static struct event* new_event(int fd, short what, event_callback_fn callback, void* argument) {
  struct event* event = event_new(base, fd, what | EV_PERSIST, callback, argument);
  if (event == NULL) fail("event_new failed");
  return event;
}

static void enable(struct event* event) {
  if (event_add(event, NULL) < 0) fail("event_add failed");
}

static void destroy(int fd, struct connection* connection) {
  event_free(connection->readable);
  if (connection->writable != NULL) event_free(connection->writable);
  drop_backlog(&connection->backlog);
  free(connection);
  close(fd);
}

static void on_writable(int fd, short what, void* argument) {
  (void)what;
  struct connection* connection = argument;
  const enum echo_outcome outcome = flush_backlog(fd, &connection->backlog);
  if (outcome == ECHO_CLOSED) {
    destroy(fd, connection);
  } else if (outcome == ECHO_DONE) {
    event_del(connection->writable);
    enable(connection->readable);
  }
}

static void on_readable(int fd, short what, void* argument) {
  (void)what;
  struct connection* connection = argument;
  const enum echo_outcome outcome = echo_once(fd, buffer, buffer_size, &connection->backlog);
  messages += outcome != ECHO_CLOSED;
  if (outcome == ECHO_CLOSED) {
    destroy(fd, connection);
  } else if (outcome == ECHO_BLOCKED) {
    if (connection->writable == NULL) {
      connection->writable = new_event(fd, EV_WRITE, on_writable, connection);
    }
    event_del(connection->readable);
    enable(connection->writable);
  }
}

static void on_connection(int listener, short what, void* argument) {
  (void)what;
  (void)argument;
  const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    fail_errno("accept4");
  }
  connections++;
  struct connection* connection = allocate(1, sizeof *connection);
  connection->readable = new_event(fd, EV_READ, on_readable, connection);
  enable(connection->readable);
}

static void on_stop(int fd, short what, void* argument) {
  (void)fd;
  (void)what;
  (void)argument;
  event_base_loopbreak(base);
}

int main(int argc, char** argv) {
  const struct server_options options = parse_server_options(argc, argv, kUsage, true);
  raise_descriptor_limit();
  base = new_libevent_base(options.backend);
  buffer_size = options.buffer_size;
  buffer = allocate(buffer_size, 1);

  struct event* stop = new_event(open_stop_signal(&options), EV_READ, on_stop, NULL);
  struct event* accepting = new_event(open_listener(&options), EV_READ, on_connection, NULL);
  enable(stop);
  enable(accepting);
  if (event_base_dispatch(base) < 0) fail("event_base_dispatch failed");

  print_server_totals(event_base_get_method(base), messages, connections);
  return 0;
}
