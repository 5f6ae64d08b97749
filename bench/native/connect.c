#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "load.h"

enum {
  // 127.0.0.2 to 127.0.0.65: each has all ephemeral ports (28,232 by default) for itself.
  SOURCE_ADDRESSES = 64,
  // node:net listens with a backlog of 511; more connections than that at once would be dropped
  // and tried again after a second.
  BLOCK = 64,
  PATIENCE_SECONDS = 20,
};

int open_source_socket(const struct load_options* options, uint32_t turn, int flags) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (fd < 0) fail_errno("socket");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (ntohl(options->server.sin_addr.s_addr) >> 24 != 127) return fd;

  // The port is chosen at connect: only then is one free that is in use towards other servers.
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  const struct sockaddr_in source = {
      .sin_family = AF_INET,
      .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn % SOURCE_ADDRESSES)};
  if (bind(fd, (const struct sockaddr*)&source, sizeof source) < 0) fail_errno("bind");
  return fd;
}

static int connect_one(const struct load_options* options, uint32_t turn) {
  const int fd = open_source_socket(options, turn, 0);
  const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, (const struct sockaddr*)&options->server, sizeof options->server) < 0) {
    fail_errno("connect");
  }
  return fd;
}

// A connection is complete as soon as it is in the server's backlog. That the server has accepted
// it shows only in an answer.
static void await_answer(const struct load_options* options, int fd) {
  const char* probe = options->line ? "x\n" : "x";
  const size_t length = options->line ? 2 : 1;
  char answer[2];
  if (send(fd, probe, length, MSG_NOSIGNAL) != (ssize_t)length) fail_errno("send");
  if (recv(fd, answer, length, MSG_WAITALL) != (ssize_t)length) {
    fail("the server did not echo a first message within %d s", PATIENCE_SECONDS);
  }
}

int* connect_all(const struct load_options* options) {
  int* sockets = allocate(options->connections, sizeof *sockets);
  for (uint32_t i = 0; i < options->connections; i++) {
    sockets[i] = connect_one(options, i);
    // Servers accept in order: the last of a block stands for all of it.
    const bool ends_block = (i + 1) % BLOCK == 0 || i + 1 == options->connections;
    if (ends_block) await_answer(options, sockets[i]);
  }
  return sockets;
}

struct pattern make_pattern(const struct load_options* options) {
  // Some dozens of kilobytes, so that it stays in the cache, and two different messages at least.
  const size_t messages = options->size < 32768 ? 65536 / options->size : 2;
  struct pattern pattern = {.length = messages * options->size};
  pattern.bytes = allocate(pattern.length, 1);
  uint32_t random = 2463534242;  // Marsaglia's xorshift: the same bytes in every run
  for (size_t i = 0; i < pattern.length; i++) {
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    pattern.bytes[i] = options->line ? (char)('a' + random % 26) : (char)(random >> 24);
    if (options->line && (i + 1) % options->size == 0) pattern.bytes[i] = '\n';
  }
  return pattern;
}
