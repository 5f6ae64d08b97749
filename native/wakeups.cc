// Descriptors that wake a waiting map: an eventfd(2) for other threads, and one that interrupts a
// thread that is to be terminated.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <uv.h>

#include <cerrno>

#include "environment.h"

namespace asynchia {
namespace {

napi_value CreateWakeup(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return arguments.Return(fd < 0 ? -errno : arguments.Data<Environment>()->descriptors.Insert(fd));
}

// (fd): a second descriptor for the same thing, which the caller owns.
napi_value Duplicate(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return arguments.Return(copy < 0 ? -errno : copy);
}

// (fd). EAGAIN means that the count is full, and so that the wake-up is pending already.
napi_value Wake(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  return arguments.Return(eventfd_write(fd, 1) < 0 && errno != EAGAIN ? -errno : 0);
}

napi_value DrainWakeup(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  eventfd_t count = 0;
  return arguments.Return(eventfd_read(fd, &count) < 0 ? -errno : 0);
}

// An epoll instance around libuv's own. worker.terminate() notifies libuv's loop, which a thread
// that blocks in a map does not run; this becomes readable then. Edge-triggered, since what else
// libuv has pending cannot be taken from it without running it.
napi_value CreateInterrupt(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  uv_loop_t* loop = nullptr;
  if (!Ok(napi_get_uv_event_loop(env, &loop))) return arguments.Return(-ENOSYS);
  Descriptor instance(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  if (instance.get() < 0 ||
      epoll_ctl(instance.get(), EPOLL_CTL_ADD, uv_backend_fd(loop), &event) < 0) {
    return arguments.Return(-errno);
  }
  return arguments.Return(arguments.Data<Environment>()->descriptors.Insert(instance.Release()));
}

// (fd): takes the edge, so that it is not readable until the next.
napi_value DrainInterrupt(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  epoll_event event{};
  const int count = epoll_wait(fd, &event, 1, 0);
  return arguments.Return(count < 0 ? -errno : count);
}

}  // namespace

void ExportWakeups(ObjectBuilder* exports, Environment* environment) {
  exports->Function("createWakeup", CreateWakeup, environment);
  exports->Function("duplicate", Duplicate, nullptr);
  exports->Function("wake", Wake, nullptr);
  exports->Function("drainWakeup", DrainWakeup, nullptr);
  exports->Function("createInterrupt", CreateInterrupt, environment);
  exports->Function("drainInterrupt", DrainInterrupt, nullptr);
}

}  // namespace asynchia
