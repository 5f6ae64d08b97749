// What one JavaScript environment (the main thread, a worker) keeps: no globals, so that the addon
// loads in as many threads as there are.
#ifndef ASYNCHIA_ENVIRONMENT_H_
#define ASYNCHIA_ENVIRONMENT_H_

#include <node_api.h>
#include <sys/socket.h>

#include <memory>

#include "arguments.h"
#include "backends/readiness.h"
#include "descriptor.h"
#include "guest_loop.h"
#include "object_builder.h"

namespace asynchia {

struct Environment {
  OwnedDescriptors descriptors;
  // Who the last accept(2) was from.
  sockaddr_storage accepted{};
  socklen_t accepted_length = 0;
  // For the raw epoll instances of `asynchia/select`.
  EpollWaiter epoll_waiter;
  // Made by the first map that runs inside Node's loop.
  std::unique_ptr<GuestLoop> guest_loop;
};

void ExportSelect(ObjectBuilder* exports, Environment* environment);
void ExportBackends(ObjectBuilder* exports, Environment* environment);
void ExportSockets(ObjectBuilder* exports, Environment* environment);
void ExportTransfers(ObjectBuilder* exports);
void ExportByteStreams(ObjectBuilder* exports, Environment* environment);
void ExportConstants(ObjectBuilder* exports);
void ExportAddresses(ObjectBuilder* exports);
void ExportResolver(ObjectBuilder* exports);
void ExportSignals(ObjectBuilder* exports);
void ExportWakeups(ObjectBuilder* exports, Environment* environment);

}  // namespace asynchia

#endif  // ASYNCHIA_ENVIRONMENT_H_
