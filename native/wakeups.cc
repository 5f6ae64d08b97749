// Descriptors that wake a waiting map: an eventfd(2) for other threads, and one that interrupts a
// thread that is to be terminated.
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <uv.h>

#include <algorithm>
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

// What uv_async_send(3) writes to. libuv adds it to its descriptor only when its loop first turns,
// which has not happened while a program's main script runs.
int NotificationFd(const uv_loop_t& loop) { return loop.async_io_watcher.fd; }

// (fd, or -1): an epoll instance around libuv's own, and around `fd`. worker.terminate(), a
// debugger and the like notify libuv's loop, which a thread that blocks in a map does not turn;
// this becomes readable then. libuv's is edge-triggered, since what is pending there cannot be
// taken without turning that loop.
napi_value CreateInterrupt(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = -1;
  if (!arguments.Int(0, &fd)) return nullptr;
  uv_loop_t* loop = nullptr;
  if (!Ok(napi_get_uv_event_loop(env, &loop))) return arguments.Return(-ENOSYS);
  Descriptor instance(epoll_create1(EPOLL_CLOEXEC));
  if (instance.get() < 0) return arguments.Return(-errno);
  const auto add = [&](int watched, uint32_t events) {
    epoll_event event{};
    event.events = events;
    return epoll_ctl(instance.get(), EPOLL_CTL_ADD, watched, &event);
  };
  if (add(uv_backend_fd(loop), EPOLLIN | EPOLLET) < 0 ||
      add(NotificationFd(*loop), EPOLLIN | EPOLLET) < 0 || (fd >= 0 && add(fd, EPOLLIN) < 0)) {
    return arguments.Return(-errno);
  }
  return arguments.Return(arguments.Data<Environment>()->descriptors.Insert(instance.Release()));
}

// (fd): takes the edge, so that it is not readable until the next. Returns 1 while libuv has
// something pending: what is added to that may bring no edge. uv_async_send(3) coalesces.
napi_value DrainInterrupt(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  uv_loop_t* loop = nullptr;
  if (!Ok(napi_get_uv_event_loop(env, &loop))) return arguments.Return(-ENOSYS);
  epoll_event events[3];
  if (epoll_wait(fd, events, 3, 0) < 0) return arguments.Return(-errno);
  pollfd pending[]{{uv_backend_fd(loop), POLLIN, 0}, {NotificationFd(*loop), POLLIN, 0}};
  const int count = poll(pending, 2, 0);
  return arguments.Return(count < 0 ? -errno : std::min(count, 1));
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
