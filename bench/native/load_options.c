#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const char kUsage[] =
    "usage: load --port PORT [options]\n"
    "Drives a TCP echo server and prints one line of JSON; exits with 1 when there were errors.\n"
    "\n"
    "  --host 127.0.0.1   an IPv4 address\n"
    "  --mode stream      messages on connections that stay open\n"
    "         churn       connect, one exchange, close; each counts as a message\n"
    "         idle        open all, print \"ready\", wait for a line on standard input, then\n"
    "                     exchange messages on one of them\n"
    "  --connections 50   how many at a time\n"
    "  --size 64          bytes of a message\n"
    "  --pipeline 1       messages outstanding on each connection (stream, closed loop)\n"
    "  --rate R           open loop (stream): R messages a second in all, at fixed times;\n"
    "                     latency counts from the time a message was to be sent\n"
    "  --seconds 5        how long to measure\n"
    "  --warmup 1         how long to run before that\n"
    "  --check            compare every byte that comes back\n"
    "  --line             messages are lines: each ends in a newline, which --size includes\n"
    "  --pid PID          report the CPU time that this process, the server, spent meanwhile\n";

static enum load_mode parse_mode(const char* text) {
  if (strcmp(text, "stream") == 0) return MODE_STREAM;
  if (strcmp(text, "churn") == 0) return MODE_CHURN;
  if (strcmp(text, "idle") == 0) return MODE_IDLE;
  misuse("--mode takes stream, churn or idle, not \"%s\"", text);
}

static double parse_rate(const char* text) {
  return (double)parse_whole("rate", text, 1, 10000000);
}

static struct in_addr parse_host(const char* text) {
  struct in_addr address;
  if (inet_pton(AF_INET, text, &address) != 1) {
    misuse("--host takes an IPv4 address, not \"%s\"", text);
  }
  return address;
}

static void refuse_contradictions(const struct load_options* options) {
  if (options->server.sin_port == 0) misuse("--port is needed (--help says more)");
  if (options->mode == MODE_STREAM) return;
  if (options->rate > 0) misuse("--rate goes with --mode stream only");
  if (options->pipeline > 1) misuse("--pipeline goes with --mode stream only");
}

struct load_options parse_load_options(int argc, char** argv) {
  static const struct option known[] = {
      {"host", required_argument, NULL, 'h'},   {"port", required_argument, NULL, 'p'},
      {"mode", required_argument, NULL, 'm'},   {"connections", required_argument, NULL, 'n'},
      {"size", required_argument, NULL, 'b'},   {"pipeline", required_argument, NULL, 'k'},
      {"rate", required_argument, NULL, 'r'},   {"seconds", required_argument, NULL, 's'},
      {"warmup", required_argument, NULL, 'w'}, {"check", no_argument, NULL, 'c'},
      {"line", no_argument, NULL, 'l'},         {"pid", required_argument, NULL, 'i'},
      {"help", no_argument, NULL, 'u'},         {NULL, 0, NULL, 0},
  };
  struct load_options options = {
      .connections = 50, .size = 64, .pipeline = 1, .seconds = 5, .warmup = 1};
  options.server.sin_family = AF_INET;
  options.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int option = 0;
  while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
    switch (option) {
      case 'h':
        options.server.sin_addr = parse_host(optarg);
        break;
      case 'p':
        options.server.sin_port = htons((uint16_t)parse_whole("port", optarg, 1, 65535));
        break;
      case 'm':
        options.mode = parse_mode(optarg);
        break;
      case 'n':
        options.connections = (uint32_t)parse_whole("connections", optarg, 1, 1000000);
        break;
      case 'b':
        options.size = parse_whole("size", optarg, 1, 64U << 20);
        break;
      case 'k':
        options.pipeline = (uint32_t)parse_whole("pipeline", optarg, 1, 65536);
        break;
      case 'r':
        options.rate = parse_rate(optarg);
        break;
      case 's':
        options.seconds = parse_seconds("seconds", optarg);
        break;
      case 'w':
        options.warmup = parse_seconds("warmup", optarg);
        break;
      case 'c':
        options.check = true;
        break;
      case 'l':
        options.line = true;
        break;
      case 'i':
        options.server_pid = (pid_t)parse_whole("pid", optarg, 1, INT32_MAX);
        break;
      case '?':
        exit(2);
      default:
        fputs(kUsage, stdout);
        exit(0);
    }
  }
  if (optind < argc) misuse("unexpected argument \"%s\"", argv[optind]);
  refuse_contradictions(&options);
  return options;
}
