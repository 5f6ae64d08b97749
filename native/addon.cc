// The module: makes an environment's state and hangs every function on `exports`.
#include "environment.h"

namespace asynchia {
namespace {

void Release(napi_env /*env*/, void* data, void* /*hint*/) {
  delete static_cast<Environment*>(data);
}

napi_value Init(napi_env env, napi_value exports) {
  auto* environment = new Environment;
  napi_set_instance_data(env, environment, Release, nullptr);
  ExportSelect(env, exports, environment);
  ExportBackends(env, exports, environment);
  ExportSockets(env, exports, environment);
  ExportTransfers(env, exports);
  ExportConstants(env, exports);
  ExportAddresses(env, exports);
  ExportResolver(env, exports);
  ExportWakeups(env, exports, environment);
  return exports;
}

}  // namespace
}  // namespace asynchia

NAPI_MODULE_INIT() { return asynchia::Init(env, exports); }
