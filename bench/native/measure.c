#include <stdio.h>

#include "load.h"

static uint64_t to_ns(double seconds) { return (uint64_t)(seconds * (double)NS_PER_SECOND); }

void measure_begin(struct measure* measure, const struct load_options* options) {
  measure->start = now_ns() + to_ns(options->warmup);
  measure->stop = measure->start + to_ns(options->seconds);
}

static void take_cpu_times(struct measure* measure, const struct load_options* options, int which) {
  measure->own[which] = own_cpu_time();
  if (options->server_pid != 0) measure->server[which] = cpu_time_of(options->server_pid);
}

void measure_tick(struct measure* measure, const struct load_options* options, uint64_t now) {
  if (!measure->started && now >= measure->start) {
    measure->started = true;
    take_cpu_times(measure, options, 0);
  }
  if (!measure->stopped && now >= measure->stop) {
    measure->stopped = true;
    take_cpu_times(measure, options, 1);
  }
}

static bool is_inside(const struct measure* measure, uint64_t time) {
  return time >= measure->start && time < measure->stop;
}

void measure_message(struct measure* measure, const struct load_options* options, uint64_t since,
                     uint64_t now) {
  if (is_inside(measure, now)) measure->messages++;
  // In the open loop a slow answer counts although it comes after the end: to leave it out would
  // flatter the server. In the closed loop it is the answers that the window holds.
  if (is_inside(measure, options->rate > 0 ? since : now)) {
    histogram_add(&measure->latency, now - since);
  }
}

void measure_bytes(struct measure* measure, size_t count, uint64_t now) {
  if (is_inside(measure, now)) measure->bytes += count;
}

static double quantile_us(const struct measure* measure, double fraction) {
  return (double)histogram_quantile(&measure->latency, fraction) / 1e3;
}

static void print_cpu(const char* name, const struct cpu_time times[2]) {
  printf("\"%s\":{\"user_seconds\":%.6f,\"system_seconds\":%.6f},", name,
         times[1].user_seconds - times[0].user_seconds,
         times[1].system_seconds - times[0].system_seconds);
}

void measure_report(const struct measure* measure, const struct load_options* options) {
  static const char* const kModes[] = {"stream", "churn", "idle"};
  const bool is_churn = options->mode == MODE_CHURN;
  const double rate = options->seconds > 0 ? (double)measure->messages / options->seconds : 0;
  printf("{\"mode\":\"%s\",\"connections\":%u,\"size\":%zu,", kModes[options->mode],
         options->connections, options->size);
  if (options->mode == MODE_STREAM && options->rate == 0) {
    printf("\"pipeline\":%u,", options->pipeline);
  }
  printf("\"seconds\":%g,\"messages\":%llu,\"bytes\":%llu,", options->seconds,
         (unsigned long long)measure->messages, (unsigned long long)measure->bytes);
  printf("\"%s_per_second\":%.1f,", is_churn ? "connections" : "messages", rate);
  printf("\"latency_us\":{\"p50\":%.2f,\"p90\":%.2f,\"p99\":%.2f,\"p999\":%.2f,\"max\":%.2f},",
         quantile_us(measure, 0.5), quantile_us(measure, 0.9), quantile_us(measure, 0.99),
         quantile_us(measure, 0.999), (double)measure->latency.largest / 1e3);
  if (options->rate > 0) {
    printf("\"rate\":%.0f,\"late_sends\":%llu,", options->rate, (unsigned long long)measure->late);
  }
  print_cpu("load_cpu", measure->own);
  if (options->server_pid != 0) print_cpu("server_cpu", measure->server);
  printf("\"unanswered\":%llu,\"errors\":%llu}\n", (unsigned long long)measure->unanswered,
         (unsigned long long)measure->errors);
}
