// Messages on connections that stay open, in a closed loop (each answer makes room for the next
// message) or in an open one (messages at fixed times, whatever the server does).
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

enum {
  EVENTS_A_TURN = 1024,
  RECEIVE_SIZE = 262144,
  SENDS_A_TURN = 64,  // then answers are looked after
  SPIN_NS = 100000,   // a wait shorter than this would wake up late: spin instead
  LONGEST_WAIT_NS = 10000000,
};

struct connection {
  int fd;
  bool waits_to_send;  // the send buffer is full
  size_t first;        // where in the pattern this connection starts
  uint64_t sent;       // bytes
  uint64_t received;   // bytes
  uint64_t queued;     // messages
  uint64_t answered;   // messages
  uint64_t* times;     // ring: when the messages queued and not answered were, or should be, sent
  uint64_t capacity;   // of the ring, a power of two
};

struct stream {
  const struct load_options* options;
  struct measure* measure;
  struct pattern pattern;
  struct connection* connections;
  char* received;
  int epoll;
  uint32_t alive;
  bool closing;           // closed loop: no new messages
  uint64_t next_message;  // open loop
  double interval_ns;
  uint64_t origin;
};

static void watch(const struct stream* stream, struct connection* connection, int operation,
                  uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(stream->epoll, operation, connection->fd, &event) < 0) fail_errno("epoll_ctl");
}

static void give_up(struct stream* stream, struct connection* connection) {
  stream->measure->errors++;
  stream->alive--;
  close(connection->fd);
  connection->fd = -1;
}

static void grow_ring(struct connection* connection) {
  const uint64_t capacity = connection->capacity == 0 ? 16 : connection->capacity * 2;
  uint64_t* times = allocate(capacity, sizeof *times);
  for (uint64_t i = connection->answered; i < connection->queued; i++) {
    times[i & (capacity - 1)] = connection->times[i & (connection->capacity - 1)];
  }
  free(connection->times);
  connection->times = times;
  connection->capacity = capacity;
}

static uint64_t* time_of(const struct connection* connection, uint64_t message) {
  return &connection->times[message & (connection->capacity - 1)];
}

static void queue_message(struct connection* connection, uint64_t time) {
  if (connection->queued - connection->answered == connection->capacity) grow_ring(connection);
  *time_of(connection, connection->queued++) = time;
}

static uint64_t messages_begun(const struct stream* stream, const struct connection* connection) {
  return (connection->sent + stream->options->size - 1) / stream->options->size;
}

static void count_late(const struct stream* stream, const struct connection* connection,
                       uint64_t first, uint64_t now) {
  const struct measure* measure = stream->measure;
  for (uint64_t i = first; i < messages_begun(stream, connection); i++) {
    const uint64_t intended = *time_of(connection, i);
    const bool is_counted = intended >= measure->start && intended < measure->stop;
    if (is_counted && now > intended + LATE_NS) stream->measure->late++;
  }
}

static size_t position(const struct stream* stream, const struct connection* connection,
                       uint64_t offset) {
  return (size_t)((connection->first + offset) % stream->pattern.length);
}

static void send_queued(struct stream* stream, struct connection* connection, uint64_t now) {
  const bool is_open_loop = stream->options->rate > 0;
  const uint64_t begun = is_open_loop ? messages_begun(stream, connection) : 0;
  const uint64_t due = connection->queued * stream->options->size;
  bool is_full = false;
  while (connection->sent < due && !is_full) {
    const size_t from = position(stream, connection, connection->sent);
    const size_t to_end = stream->pattern.length - from;
    const uint64_t rest = due - connection->sent;
    const size_t length = rest < to_end ? (size_t)rest : to_end;
    const ssize_t sent = send(connection->fd, stream->pattern.bytes + from, length, MSG_NOSIGNAL);
    if (sent >= 0) {
      connection->sent += (uint64_t)sent;
    } else if (errno == EAGAIN) {
      is_full = true;
    } else {
      give_up(stream, connection);
      return;
    }
  }
  if (is_open_loop) count_late(stream, connection, begun, now);
  if (is_full != connection->waits_to_send) {
    connection->waits_to_send = is_full;
    watch(stream, connection, EPOLL_CTL_MOD, is_full ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }
}

static bool is_as_sent(const struct stream* stream, const struct connection* connection,
                       size_t length) {
  if (connection->received + length > connection->sent) return false;
  size_t done = 0;
  while (stream->options->check && done < length) {
    const size_t from = position(stream, connection, connection->received + done);
    const size_t to_end = stream->pattern.length - from;
    const size_t part = length - done < to_end ? length - done : to_end;
    if (memcmp(stream->received + done, stream->pattern.bytes + from, part) != 0) return false;
    done += part;
  }
  return true;
}

// Returns the time after the call, which is the time of the answers.
static uint64_t receive(struct stream* stream, struct connection* connection) {
  const ssize_t length = recv(connection->fd, stream->received, RECEIVE_SIZE, 0);
  const uint64_t now = now_ns();
  if (length < 0 && errno == EAGAIN) return now;
  if (length <= 0 || !is_as_sent(stream, connection, (size_t)length)) {
    give_up(stream, connection);
    return now;
  }
  connection->received += (uint64_t)length;
  measure_bytes(stream->measure, (size_t)length, now);
  while (connection->received >= (connection->answered + 1) * stream->options->size) {
    const uint64_t since = *time_of(connection, connection->answered++);
    measure_message(stream->measure, stream->options, since, now);
    if (stream->options->rate == 0 && !stream->closing) queue_message(connection, now);
  }
  return now;
}

static uint64_t next_time(const struct stream* stream) {
  return stream->origin + (uint64_t)((double)stream->next_message * stream->interval_ns);
}

static bool has_schedule_left(const struct stream* stream) {
  return stream->options->rate > 0 && next_time(stream) < stream->measure->stop;
}

// Open loop: sends what is due, each message on the next connection.
static void send_on_schedule(struct stream* stream) {
  for (int i = 0; i < SENDS_A_TURN && has_schedule_left(stream); i++) {
    const uint64_t now = now_ns();
    const uint64_t intended = next_time(stream);
    if (intended > now) return;
    const uint64_t turn = stream->next_message++ % stream->options->connections;
    struct connection* connection = &stream->connections[turn];
    if (connection->fd < 0) continue;
    queue_message(connection, intended);
    if (!connection->waits_to_send) send_queued(stream, connection, now);
  }
}

static void serve_ready(struct stream* stream) {
  uint64_t wait_ns = LONGEST_WAIT_NS;
  if (has_schedule_left(stream)) {
    const uint64_t now = now_ns();
    const uint64_t next = next_time(stream);
    const uint64_t left = next > now + SPIN_NS ? next - now - SPIN_NS : 0;
    if (left < wait_ns) wait_ns = left;
  }
  const struct timespec timeout = {.tv_nsec = (long)wait_ns};
  struct epoll_event events[EVENTS_A_TURN];
  const int count = epoll_pwait2(stream->epoll, events, EVENTS_A_TURN, &timeout, NULL);
  if (count < 0 && errno != EINTR) fail_errno("epoll_pwait2");
  for (int i = 0; i < count; i++) {
    struct connection* connection = events[i].data.ptr;
    uint64_t now = 0;
    if (events[i].events & ~(uint32_t)EPOLLOUT) now = receive(stream, connection);
    const bool can_send = !connection->waits_to_send || (events[i].events & EPOLLOUT) != 0;
    if (connection->fd < 0 || !can_send) continue;
    send_queued(stream, connection, now != 0 ? now : now_ns());
  }
}

static bool is_drained(const struct stream* stream) {
  if (has_schedule_left(stream)) return false;
  for (uint32_t i = 0; i < stream->options->connections; i++) {
    const struct connection* connection = &stream->connections[i];
    if (connection->fd >= 0 && connection->answered < connection->queued) return false;
  }
  return true;
}

// Closed loop: what is not begun is not sent any more.
static void stop_queueing(struct stream* stream) {
  for (uint32_t i = 0; i < stream->options->connections; i++) {
    struct connection* connection = &stream->connections[i];
    connection->queued = messages_begun(stream, connection);
  }
}

// An answer that never came took at least this long.
static void count_unanswered(struct stream* stream) {
  const uint64_t now = now_ns();
  for (uint32_t i = 0; i < stream->options->connections; i++) {
    const struct connection* connection = &stream->connections[i];
    for (uint64_t k = connection->answered; k < connection->queued; k++) {
      stream->measure->unanswered++;
      measure_message(stream->measure, stream->options, *time_of(connection, k), now);
    }
  }
  while (has_schedule_left(stream)) {
    stream->measure->unanswered++;
    measure_message(stream->measure, stream->options, next_time(stream), now);
    stream->next_message++;
  }
}

static void open_stream(struct stream* stream) {
  const struct load_options* options = stream->options;
  stream->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (stream->epoll < 0) fail_errno("epoll_create1");
  stream->received = allocate(RECEIVE_SIZE, 1);
  stream->pattern = make_pattern(options);
  stream->connections = allocate(options->connections, sizeof *stream->connections);
  stream->alive = options->connections;
  int* sockets = connect_all(options);
  for (uint32_t i = 0; i < options->connections; i++) {
    struct connection* connection = &stream->connections[i];
    connection->fd = sockets[i];
    connection->first = (i * options->size) % stream->pattern.length;
    if (fcntl(connection->fd, F_SETFL, O_NONBLOCK) < 0) fail_errno("fcntl");
    watch(stream, connection, EPOLL_CTL_ADD, EPOLLIN);
  }
  free(sockets);
}

static void close_stream(struct stream* stream) {
  for (uint32_t i = 0; i < stream->options->connections; i++) {
    if (stream->connections[i].fd >= 0) close(stream->connections[i].fd);
    free(stream->connections[i].times);
  }
  free(stream->connections);
  free(stream->pattern.bytes);
  free(stream->received);
  close(stream->epoll);
}

void run_stream(const struct load_options* options, struct measure* measure) {
  prctl(PR_SET_TIMERSLACK, 1UL);  // the open loop waits for points in time
  struct stream stream = {.options = options, .measure = measure};
  open_stream(&stream);
  measure_begin(measure, options);
  stream.origin = now_ns();
  if (options->rate > 0) stream.interval_ns = (double)NS_PER_SECOND / options->rate;
  for (uint32_t i = 0; i < options->connections && options->rate == 0; i++) {
    struct connection* connection = &stream.connections[i];
    for (uint32_t k = 0; k < options->pipeline; k++) queue_message(connection, now_ns());
    send_queued(&stream, connection, 0);
  }

  uint64_t now = stream.origin;
  while (stream.alive > 0 && now < measure->stop + DRAIN_NS) {
    measure_tick(measure, options, now);
    if (options->rate > 0) {
      // On beyond the end, if need be: what was meant to be sent within the window counts.
      send_on_schedule(&stream);
    } else if (now >= measure->stop && !stream.closing) {
      stream.closing = true;
      stop_queueing(&stream);
    }
    if (now >= measure->stop && is_drained(&stream)) break;
    serve_ready(&stream);
    now = now_ns();
  }
  count_unanswered(&stream);
  close_stream(&stream);
}
