// The module: makes an environment's state and hangs every function on `exports`.
#include "environment.h"

namespace asynchia {
namespace {

void Release(napi_env env, void* data, void* /*hint*/) {
  auto* environment = static_cast<Environment*>(data);
  // Node frees what it holds for an addon only if it is told to.
  for (napi_ref reference : {environment->slab_reference, environment->transfer_reference}) {
    if (reference != nullptr) napi_delete_reference(env, reference);
  }
  delete environment;
}

napi_value Init(napi_env env, napi_value exports) {
  auto* environment = new Environment;
  napi_set_instance_data(env, environment, Release, nullptr);
  ExportSelect(env, exports, environment);
  ExportBackends(env, exports, environment);
  ExportSockets(env, exports, environment);
  ExportTransfers(env, exports, environment);
  ExportConstants(env, exports);
  ExportAddresses(env, exports);
  ExportResolver(env, exports);
  ExportWakeups(env, exports, environment);
  return exports;
}

}  // namespace
}  // namespace asynchia

NAPI_MODULE_INIT() { return asynchia::Init(env, exports); }
