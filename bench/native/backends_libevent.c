// The field's classic, after libevent's own bench: N pairs of sockets are watched, A of them are
// given a byte, and each byte read is passed on to the next pair until W bytes were written. What
// it costs shows how a backend bears descriptors that have nothing to say.
#include <event2/event.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"
#include "libevent_base.h"

// The whole run is over by then: a byte that got lost must not be waited for without end.
enum { LONGEST_RUN_SECONDS = 600 };

static const char kUsage[] =
    "usage: backends_libevent [--backend select|poll|epoll] [options]\n"
    "Prints one line of JSON with the samples, in microseconds: turn_us is a whole turn (every\n"
    "event deleted and added again, then the loop), loop_us the loop alone: from the first writes\n"
    "until the last byte is read.\n"
    "\n"
    "  --pairs 100    N: socket pairs watched\n"
    "  --active 10    A: of them written to at the start of a turn\n"
    "  --writes 100   W: one-byte writes in a turn, A at the start included\n"
    "  --repeat 25    R: turns measured, after one that is not\n"
    "  --both-ends    watch both ends of N/2 pairs: as many sockets with half the descriptors\n";

struct options {
  const char* backend;
  int watched;
  int active;
  int writes;
  int repeat;
  bool both_ends;
};

static struct event_base* base;
static struct event** events;
static int* readers;  // the socket that is watched
static int* writers;  // the one that makes it readable
static int watched;
static int writes_left;
static int reads_left;

static struct options parse_options(int argc, char** argv) {
  static const struct option known[] = {
      {"backend", required_argument, NULL, 'k'}, {"pairs", required_argument, NULL, 'n'},
      {"active", required_argument, NULL, 'a'},  {"writes", required_argument, NULL, 'w'},
      {"repeat", required_argument, NULL, 'r'},  {"both-ends", no_argument, NULL, 'b'},
      {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
  };
  struct options options = {.watched = 100, .active = 10, .writes = 100, .repeat = 25};
  int option = 0;
  while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
    switch (option) {
      case 'k':
        options.backend = optarg;
        break;
      case 'n':
        options.watched = (int)parse_whole("pairs", optarg, 1, 1000000);
        break;
      case 'a':
        options.active = (int)parse_whole("active", optarg, 1, 1000000);
        break;
      case 'w':
        options.writes = (int)parse_whole("writes", optarg, 1, 10000000);
        break;
      case 'r':
        options.repeat = (int)parse_whole("repeat", optarg, 1, 100000);
        break;
      case 'b':
        options.both_ends = true;
        break;
      case 'h':
        fputs(kUsage, stdout);
        exit(0);
      default:
        exit(2);
    }
  }
  if (optind < argc) misuse("unexpected argument \"%s\"", argv[optind]);
  if (options.active > options.watched) misuse("--active is more than --pairs");
  if (options.writes < options.active) misuse("--writes is less than --active");
  if (options.both_ends && options.watched % 2 != 0) misuse("--both-ends needs even --pairs");
  return options;
}

static void write_byte(int index) {
  writes_left--;
  if (send(writers[index], "e", 1, MSG_NOSIGNAL) != 1) fail_errno("send");
}

static void on_readable(int fd, short what, void* argument) {
  (void)what;
  const int index = (int)(intptr_t)argument;
  char byte = 0;
  // A socket may hold several bytes when the chains of two active ones meet.
  if (recv(fd, &byte, 1, 0) != 1) fail_errno("recv");
  reads_left--;
  if (writes_left > 0) write_byte((index + 1) % watched);
}

static void open_sockets(const struct options* options) {
  const uint64_t limit = raise_descriptor_limit();
  const int needed = options->both_ends ? options->watched : 2 * options->watched;
  if ((uint64_t)needed + 16 > limit) {
    fail("%d pairs need %d descriptors and the limit is %llu%s", options->watched, needed,
         (unsigned long long)limit, options->both_ends ? "" : " (--both-ends needs half)");
  }
  watched = options->watched;
  readers = allocate((size_t)watched + 1, sizeof *readers);
  writers = allocate((size_t)watched + 1, sizeof *writers);
  events = allocate((size_t)watched, sizeof *events);
  for (int i = 0; i < watched; i += options->both_ends ? 2 : 1) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
      fail_errno("socketpair");
    }
    readers[i] = pair[0];
    writers[i] = pair[1];
    if (options->both_ends) {
      readers[i + 1] = pair[1];
      writers[i + 1] = pair[0];
    }
  }
  for (intptr_t i = 0; i < watched; i++) {
    events[i] = event_new(base, readers[i], EV_READ | EV_PERSIST, on_readable, (void*)i);
    if (events[i] == NULL || event_add(events[i], NULL) < 0) fail("cannot watch a socket");
  }
}

static void turn(const struct options* options, uint64_t* turn_ns, uint64_t* loop_ns) {
  const uint64_t begin = now_ns();
  for (int i = 0; i < watched; i++) {
    event_del(events[i]);
    event_add(events[i], NULL);
  }
  event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);  // so that no registration is left undone

  writes_left = options->writes;
  reads_left = options->writes;
  const uint64_t loop_begin = now_ns();
  for (int i = 0; i < options->active; i++) write_byte(i * (watched / options->active));
  while (reads_left > 0) {
    if (event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK) < 0) fail("event_base_loop failed");
  }
  const uint64_t end = now_ns();
  *turn_ns = end - begin;
  *loop_ns = end - loop_begin;
}

static void print_samples(const char* name, const uint64_t* samples, int count) {
  printf(",\"%s\":[", name);
  for (int i = 0; i < count; i++) {
    printf("%s%.3f", i == 0 ? "" : ",", (double)samples[i] / 1e3);
  }
  printf("]");
}

int main(int argc, char** argv) {
  const struct options options = parse_options(argc, argv);
  alarm(LONGEST_RUN_SECONDS);
  base = new_libevent_base(options.backend);
  open_sockets(&options);

  uint64_t* turns = allocate((size_t)options.repeat, sizeof *turns);
  uint64_t* loops = allocate((size_t)options.repeat, sizeof *loops);
  turn(&options, &turns[0], &loops[0]);  // caches and tables are filled here
  for (int i = 0; i < options.repeat; i++) turn(&options, &turns[i], &loops[i]);

  printf("{\"backend\":\"%s\",\"pairs\":%d,\"active\":%d,\"writes\":%d,\"both_ends\":%s",
         event_base_get_method(base), options.watched, options.active, options.writes,
         options.both_ends ? "true" : "false");
  print_samples("turn_us", turns, options.repeat);
  print_samples("loop_us", loops, options.repeat);
  printf("}\n");
  free(turns);
  free(loops);
  return 0;
}
