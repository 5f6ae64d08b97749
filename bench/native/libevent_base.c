#include "libevent_base.h"

#include <stdbool.h>
#include <string.h>

#include "common.h"

// libevent grows its descriptor sets as select(2) lets it, but in a libevent built with
// _FORTIFY_SOURCE, as distributions do, FD_SET ends the program at descriptor 1024. The program's
// own definition comes before glibc's, and does not check.
long __fdelt_chk(long fd);
long __fdelt_chk(long fd) { return fd / (8 * (long)sizeof(long)); }

struct event_base* new_libevent_base(const char* backend) {
  struct event_config* config = event_config_new();
  if (config == NULL) fail("event_config_new failed");
  // libevent has no call to ask for a backend, only one to avoid the others.
  const char** methods = event_get_supported_methods();
  bool is_known = backend == NULL;
  for (int i = 0; backend != NULL && methods[i] != NULL; i++) {
    if (strcmp(methods[i], backend) == 0) {
      is_known = true;
    } else {
      event_config_avoid_method(config, methods[i]);
    }
  }
  if (!is_known) misuse("libevent has no backend \"%s\"", backend);
  struct event_base* base = event_base_new_with_config(config);
  if (base == NULL) fail("event_base_new_with_config failed");
  event_config_free(config);
  return base;
}
