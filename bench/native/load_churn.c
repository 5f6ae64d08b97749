// Connect, one exchange, close: over and over, on a number of connections at a time. The client
// closes first, and orderly: the server sees an end of file, as it mostly does in life, and
// TIME_WAIT stays on the client's side, whose many source addresses have ports enough for it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum { EVENTS_A_TURN = 256, RECEIVE_SIZE = 65536, WAIT_MS = 10 };

struct exchange {
  int fd;  // -1: none under way
  const char* message;
  size_t sent;
  size_t received;
  uint64_t since;
};

struct churn {
  const struct load_options* options;
  struct measure* measure;
  struct pattern pattern;
  struct exchange* exchanges;
  char* received;
  int epoll;
  uint32_t turns;
  uint32_t under_way;
};

enum progress { PROGRESS_WAITING, PROGRESS_DONE, PROGRESS_FAILED };

static enum progress send_rest(const struct churn* churn, struct exchange* exchange) {
  while (exchange->sent < churn->options->size) {
    const ssize_t sent = send(exchange->fd, exchange->message + exchange->sent,
                              churn->options->size - exchange->sent, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? PROGRESS_WAITING : PROGRESS_FAILED;
    exchange->sent += (size_t)sent;
  }
  return PROGRESS_DONE;
}

static enum progress receive_rest(const struct churn* churn, struct exchange* exchange) {
  while (exchange->received < churn->options->size) {
    const ssize_t received = recv(exchange->fd, churn->received, RECEIVE_SIZE, 0);
    if (received < 0) return errno == EAGAIN ? PROGRESS_WAITING : PROGRESS_FAILED;
    const size_t length = (size_t)received;
    if (length == 0 || exchange->received + length > exchange->sent) return PROGRESS_FAILED;
    if (churn->options->check &&
        memcmp(churn->received, exchange->message + exchange->received, length) != 0) {
      return PROGRESS_FAILED;
    }
    exchange->received += length;
  }
  return PROGRESS_DONE;
}

static void start(struct churn* churn, struct exchange* exchange) {
  const struct load_options* options = churn->options;
  const uint32_t turn = churn->turns++;
  const size_t first = ((size_t)turn * options->size) % churn->pattern.length;
  *exchange = (struct exchange){.message = churn->pattern.bytes + first, .since = now_ns()};
  exchange->fd = open_source_socket(options, turn, SOCK_NONBLOCK);
  if (connect(exchange->fd, (const struct sockaddr*)&options->server, sizeof options->server) < 0 &&
      errno != EINPROGRESS) {
    fail_errno("connect");
  }
  churn->under_way++;
  // On loopback the handshake is over when connect returns, so the message mostly goes out here.
  // What fails here fails again, and is counted, when epoll reports it.
  send_rest(churn, exchange);
  // Edge-triggered: one epoll_ctl serves the whole exchange.
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = exchange};
  if (epoll_ctl(churn->epoll, EPOLL_CTL_ADD, exchange->fd, &event) < 0) fail_errno("epoll_ctl");
}

static void finish(struct churn* churn, struct exchange* exchange, enum progress progress) {
  close(exchange->fd);
  exchange->fd = -1;
  churn->under_way--;
  const uint64_t now = now_ns();
  if (progress == PROGRESS_DONE) {
    measure_message(churn->measure, churn->options, exchange->since, now);
    measure_bytes(churn->measure, churn->options->size, now);
  } else {
    churn->measure->errors++;
  }
  if (now < churn->measure->stop) start(churn, exchange);
}

static void serve_ready(struct churn* churn) {
  struct epoll_event events[EVENTS_A_TURN];
  const int count = epoll_wait(churn->epoll, events, EVENTS_A_TURN, WAIT_MS);
  if (count < 0 && errno != EINTR) fail_errno("epoll_wait");
  for (int i = 0; i < count; i++) {
    struct exchange* exchange = events[i].data.ptr;
    enum progress progress = send_rest(churn, exchange);
    if (progress != PROGRESS_FAILED) progress = receive_rest(churn, exchange);
    if (progress != PROGRESS_WAITING) finish(churn, exchange, progress);
  }
}

void run_churn(const struct load_options* options, struct measure* measure) {
  struct churn churn = {.options = options, .measure = measure, .pattern = make_pattern(options)};
  churn.received = allocate(RECEIVE_SIZE, 1);
  churn.exchanges = allocate(options->connections, sizeof *churn.exchanges);
  churn.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (churn.epoll < 0) fail_errno("epoll_create1");

  measure_begin(measure, options);
  for (uint32_t i = 0; i < options->connections; i++) start(&churn, &churn.exchanges[i]);
  uint64_t now = now_ns();
  while (churn.under_way > 0 && now < measure->stop + DRAIN_NS) {
    measure_tick(measure, options, now);
    serve_ready(&churn);
    now = now_ns();
  }
  measure->unanswered = churn.under_way;

  for (uint32_t i = 0; i < options->connections; i++) {
    if (churn.exchanges[i].fd >= 0) close(churn.exchanges[i].fd);
  }
  close(churn.epoll);
  free(churn.exchanges);
  free(churn.received);
  free(churn.pattern.bytes);
}
