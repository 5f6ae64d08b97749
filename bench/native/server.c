#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

struct server_options parse_server_options(int argc, char** argv, const char* usage,
                                           int takes_backend) {
  static const struct option known[] = {
      {"port", required_argument, NULL, 'p'},
      {"buffer", required_argument, NULL, 'b'},
      {"life", required_argument, NULL, 'l'},
      {"help", no_argument, NULL, 'h'},
      {"backend", required_argument, NULL, 'k'},
      {"thread", no_argument, NULL, 't'},
      {NULL, 0, NULL, 0},
  };
  struct server_options options = {.buffer_size = 65536, .life_seconds = 3600};
  int option = 0;
  while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
    switch (option) {
      case 'p':
        options.port = (uint16_t)parse_whole("port", optarg, 0, 65535);
        break;
      case 'b':
        options.buffer_size = parse_whole("buffer", optarg, 1, 1U << 30);
        break;
      case 'l':
        options.life_seconds = (unsigned)parse_whole("life", optarg, 1, 86400);
        break;
      case 't':
        options.has_thread = true;
        break;
      case 'h':
        fputs(usage, stdout);
        exit(0);
      case 'k':
        options.backend = optarg;
        if (takes_backend) break;
        misuse("--backend is not known here");
      default:
        exit(2);
    }
  }
  if (optind < argc) misuse("unexpected argument \"%s\"", argv[optind]);
  return options;
}

static void* sleep_on(void* unused) {
  for (;;) pause();
  return unused;
}

void start_thread(void) {
  pthread_t thread;
  errno = pthread_create(&thread, NULL, sleep_on, NULL);
  if (errno != 0) fail_errno("pthread_create");
}

int open_listener(const struct server_options* options) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail_errno("socket");
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // Accepted sockets inherit it on Linux, so it costs no call for each connection.
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons(options->port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(fd, (struct sockaddr*)&address, length) < 0) fail_errno("bind");
  if (listen(fd, SOMAXCONN) < 0) fail_errno("listen");
  if (getsockname(fd, (struct sockaddr*)&address, &length) < 0) fail_errno("getsockname");
  printf("listening %d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int open_stop_signal(const struct server_options* options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGALRM);
  if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0) fail_errno("sigprocmask");
  const int fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd < 0) fail_errno("signalfd");
  alarm(options->life_seconds);
  return fd;
}

enum echo_outcome echo_once(int fd, char* buffer, size_t size, struct backlog* backlog) {
  const ssize_t received = recv(fd, buffer, size, 0);
  if (received < 0) return errno == EAGAIN || errno == EINTR ? ECHO_DONE : ECHO_CLOSED;
  if (received == 0) return ECHO_CLOSED;

  ssize_t sent = send(fd, buffer, (size_t)received, MSG_NOSIGNAL);
  if (sent == received) return ECHO_DONE;
  if (sent < 0) {
    if (errno != EAGAIN && errno != EINTR) return ECHO_CLOSED;
    sent = 0;
  }
  backlog->length = (size_t)(received - sent);
  backlog->sent = 0;
  backlog->bytes = allocate(backlog->length, 1);
  memcpy(backlog->bytes, buffer + sent, backlog->length);
  return ECHO_BLOCKED;
}

enum echo_outcome flush_backlog(int fd, struct backlog* backlog) {
  const ssize_t sent =
      send(fd, backlog->bytes + backlog->sent, backlog->length - backlog->sent, MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR ? ECHO_BLOCKED : ECHO_CLOSED;
  backlog->sent += (size_t)sent;
  if (backlog->sent < backlog->length) return ECHO_BLOCKED;
  drop_backlog(backlog);
  return ECHO_DONE;
}

void drop_backlog(struct backlog* backlog) {
  free(backlog->bytes);
  *backlog = (struct backlog){0};
}

void print_server_totals(const char* backend, uint64_t messages, uint64_t connections) {
  const struct cpu_time cpu = own_cpu_time();
  printf("{\"backend\":\"%s\",\"user_seconds\":%.6f,\"system_seconds\":%.6f,", backend,
         cpu.user_seconds, cpu.system_seconds);
  printf("\"messages\":%llu,\"connections\":%llu}\n", (unsigned long long)messages,
         (unsigned long long)connections);
  fflush(stdout);
}
