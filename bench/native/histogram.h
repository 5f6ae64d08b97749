// Durations in buckets whose width grows with the value, as HdrHistogram has them: each value is
// kept to one part in 1024 (three digits), whatever its size, in a fixed quarter of a megabyte.
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
  HISTOGRAM_DIGIT_BITS = 10,
  HISTOGRAM_LARGEST_BITS = 42,  // 2^42 ns: more than an hour; what is longer counts as that
  HISTOGRAM_BUCKETS = (HISTOGRAM_LARGEST_BITS - HISTOGRAM_DIGIT_BITS + 1) << HISTOGRAM_DIGIT_BITS,
};

struct histogram {
  uint64_t count;
  uint64_t largest;
  uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram* histogram, uint64_t value);

// The value that the given fraction (0.99, say) of all values do not exceed; 0 when there is none.
uint64_t histogram_quantile(const struct histogram* histogram, double fraction);

#endif
