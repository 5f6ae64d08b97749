// The load generator: drives an echo server over TCP and prints one line of JSON. It is C, and has
// one thread and one epoll loop, so that it is not what is measured.
#include "load.h"

#include <stdlib.h>

int main(int argc, char** argv) {
  const struct load_options options = parse_load_options(argc, argv);
  const uint64_t descriptors = raise_descriptor_limit();
  if (options.connections + 16ULL > descriptors) {
    fail("%u connections need more descriptors than the limit of %llu", options.connections,
         (unsigned long long)descriptors);
  }
  struct measure* measure = allocate(1, sizeof *measure);
  switch (options.mode) {
    case MODE_STREAM:
      run_stream(&options, measure);
      break;
    case MODE_CHURN:
      run_churn(&options, measure);
      break;
    case MODE_IDLE:
      run_idle(&options, measure);
      break;
  }
  measure_tick(measure, &options, UINT64_MAX);  // a run that ended early has CPU times too
  measure_report(measure, &options);
  const bool is_clean = measure->errors == 0;
  free(measure);
  return is_clean ? 0 : 1;
}
