// What one JavaScript environment (the main thread, a worker) keeps: no globals, so that the addon
// loads in as many threads as there are.
#ifndef ASYNCHIA_ENVIRONMENT_H_
#define ASYNCHIA_ENVIRONMENT_H_

#include <node_api.h>
#include <sys/socket.h>

#include "arguments.h"
#include "descriptor.h"

namespace asynchia {

class GuestLoop;

struct Environment {
  OwnedDescriptors descriptors;
  // Who the last accept(2) was from.
  sockaddr_storage accepted{};
  socklen_t accepted_length = 0;
  // Made by the first map that runs inside Node's loop; closes itself before the environment goes.
  GuestLoop* guest_loop = nullptr;
};

void ExportSelect(napi_env env, napi_value exports, Environment* environment);
void ExportBackends(napi_env env, napi_value exports, Environment* environment);
void ExportSockets(napi_env env, napi_value exports, Environment* environment);
void ExportTransfers(napi_env env, napi_value exports);
void ExportConstants(napi_env env, napi_value exports);
void ExportAddresses(napi_env env, napi_value exports);
void ExportResolver(napi_env env, napi_value exports);
void ExportWakeups(napi_env env, napi_value exports, Environment* environment);

}  // namespace asynchia

#endif  // ASYNCHIA_ENVIRONMENT_H_
