#include "histogram.h"

#include <math.h>

static const uint64_t kLargest = (1ULL << HISTOGRAM_LARGEST_BITS) - 1;

// Values below 2^10 have a bucket each. Above, a value is shifted right until 11 bits are left,
// the first of them a 1: each shift owns the next 2^10 buckets, and the other 10 bits choose one.
static uint32_t bucket_of(uint64_t value) {
  if (value >> HISTOGRAM_DIGIT_BITS == 0) return (uint32_t)value;
  const int shift = 63 - __builtin_clzll(value) - HISTOGRAM_DIGIT_BITS;
  return ((uint32_t)shift << HISTOGRAM_DIGIT_BITS) + (uint32_t)(value >> shift);
}

static uint64_t last_value_in(uint32_t bucket) {
  const uint32_t width = 1U << HISTOGRAM_DIGIT_BITS;
  if (bucket < width) return bucket;
  const uint32_t shift = bucket / width - 1;
  return ((((uint64_t)bucket % width) + width + 1) << shift) - 1;
}

void histogram_add(struct histogram* histogram, uint64_t value) {
  if (value > kLargest) value = kLargest;
  if (value > histogram->largest) histogram->largest = value;
  histogram->count++;
  histogram->buckets[bucket_of(value)]++;
}

uint64_t histogram_quantile(const struct histogram* histogram, double fraction) {
  const uint64_t wanted = (uint64_t)ceil(fraction * (double)histogram->count);
  uint64_t seen = 0;
  for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS && histogram->count > 0; bucket++) {
    seen += histogram->buckets[bucket];
    if (seen < wanted) continue;
    const uint64_t last = last_value_in(bucket);
    return last < histogram->largest ? last : histogram->largest;
  }
  return histogram->largest;
}
