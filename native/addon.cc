// The module: makes an environment's state and hangs every function on `exports`.
#include <memory>

#include "environment.h"
#include "status.h"

namespace asynchia {
namespace {

void Release(napi_env /*env*/, void* data, void* /*hint*/) {
  delete static_cast<Environment*>(data);
}

napi_value Init(napi_env env, napi_value target) {
  auto environment = std::make_unique<Environment>();
  if (!Ok(napi_set_instance_data(env, environment.get(), Release, nullptr))) return nullptr;
  Environment* const state = environment.release();
  ObjectBuilder exports(env, target);
  ExportSelect(&exports, state);
  ExportBackends(&exports, state);
  ExportSockets(&exports, state);
  ExportTransfers(&exports);
  ExportByteStreams(&exports, state);
  ExportConstants(&exports);
  ExportAddresses(&exports);
  ExportResolver(&exports);
  ExportSignals(&exports);
  ExportWakeups(&exports, state);
  return exports.Done();
}

}  // namespace
}  // namespace asynchia

NAPI_MODULE_INIT() { return asynchia::Init(env, exports); }
