// The raw readiness calls behind `asynchia/select`: no table, no loop, just the system calls.
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "backends/readiness.h"
#include "environment.h"

namespace asynchia {
namespace {

// (pairs, timeoutMs): poll(2) over (descriptor, mask) pairs; each mask is overwritten with what is
// ready.
napi_value Poll(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Integers pairs;
  double timeout_ms = 0;
  if (!arguments.Int32Array(0, &pairs) || !arguments.Double(1, &timeout_ms)) return nullptr;
  std::vector<pollfd> fds(pairs.length / 2);
  for (size_t i = 0; i < fds.size(); i++) {
    fds[i] = {pairs.data[2 * i], static_cast<int16_t>(pairs.data[2 * i + 1]), 0};
  }
  const int count = PollUntil(fds.data(), fds.size(), Deadline(timeout_ms));
  for (size_t i = 0; i < fds.size(); i++) {
    pairs.data[2 * i + 1] = static_cast<uint16_t>(fds[i].revents);
  }
  return arguments.Return(count);
}

// (read, write, except, timeoutMs): select(2) over three Int32Arrays of descriptors. What is not
// ready is overwritten with -1.
napi_value Select(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Integers kinds[3];
  // A copy: one array may stand in several places, and what is written to one is then read from
  // another.
  std::vector<int32_t> asked[3];
  double timeout_ms = 0;
  int highest = -1;
  for (size_t kind = 0; kind < 3; kind++) {
    if (!arguments.Int32Array(kind, &kinds[kind])) return nullptr;
    asked[kind].assign(kinds[kind].data, kinds[kind].data + kinds[kind].length);
  }
  if (!arguments.Double(3, &timeout_ms)) return nullptr;
  for (const auto& fds : asked) {
    for (const int fd : fds) {
      if (fd < 0) return arguments.Return(-EBADF);
      highest = std::max(highest, fd);
    }
  }
  if (highest >= 0 && !IsOpen(highest)) return arguments.Return(-EBADF);
  const int words = highest / kSetWordBits + 1;
  std::vector<SetWord> wanted(3 * static_cast<size_t>(words));
  std::vector<SetWord> ready(wanted.size());
  const auto place = [&](size_t kind, int fd) {
    return kind * static_cast<size_t>(words) + static_cast<size_t>(fd / kSetWordBits);
  };
  const auto bit = [](int fd) { return SetWord{1} << (fd % kSetWordBits); };
  for (size_t kind = 0; kind < 3; kind++) {
    for (const int fd : asked[kind]) wanted[place(kind, fd)] |= bit(fd);
  }
  const int count = SelectUntil(words, wanted.data(), ready.data(), Deadline(timeout_ms));
  if (count < 0) return arguments.Return(count);
  for (size_t kind = 0; kind < 3; kind++) {
    for (size_t i = 0; i < asked[kind].size(); i++) {
      const int fd = asked[kind][i];
      if (count == 0 || (ready[place(kind, fd)] & bit(fd)) == 0) kinds[kind].data[i] = -1;
    }
  }
  return arguments.Return(count);
}

napi_value EpollCreate(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  return arguments.Return(fd < 0 ? -errno : arguments.Data<Environment>()->descriptors.Insert(fd));
}

// (epollFd, operation, fd, mask)
napi_value EpollControl(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int epoll_fd = 0;
  int operation = 0;
  int fd = 0;
  int mask = 0;
  if (!arguments.Int(0, &epoll_fd) || !arguments.Int(1, &operation) || !arguments.Int(2, &fd) ||
      !arguments.Int(3, &mask)) {
    return nullptr;
  }
  epoll_event event{};
  event.events = static_cast<uint32_t>(mask);
  event.data.fd = fd;
  return arguments.Return(epoll_ctl(epoll_fd, operation, fd, &event) < 0 ? -errno : 0);
}

// (epollFd, pairs, timeoutMs): fills `pairs` with (descriptor, bits), returns how many.
napi_value EpollWait(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int epoll_fd = 0;
  Integers pairs;
  double timeout_ms = 0;
  if (!arguments.Int(0, &epoll_fd) || !arguments.Int32Array(1, &pairs) ||
      !arguments.Double(2, &timeout_ms)) {
    return nullptr;
  }
  constexpr size_t kMostEvents = 1 << 16;
  std::vector<epoll_event> events(std::min(pairs.length / 2, kMostEvents));
  if (events.empty()) return arguments.Return(-EINVAL);
  EpollWaiter* waiter = &arguments.Data<Environment>()->epoll_waiter;
  const int count =
      waiter->Until(epoll_fd, events.data(), static_cast<int>(events.size()), Deadline(timeout_ms));
  for (int i = 0; i < count; i++) {
    pairs.data[2 * i] = events[static_cast<size_t>(i)].data.fd;
    pairs.data[2 * i + 1] = static_cast<int32_t>(events[static_cast<size_t>(i)].events);
  }
  return arguments.Return(count);
}

napi_value Monotonic(napi_env env, napi_callback_info /*info*/) {
  napi_value now = nullptr;
  return Ok(napi_create_double(env, MonotonicMs(), &now)) ? now : nullptr;
}

}  // namespace

void ExportSelect(ObjectBuilder* exports, Environment* environment) {
  exports->Function("poll", Poll, nullptr);
  exports->Function("select", Select, nullptr);
  exports->Function("epollCreate", EpollCreate, environment);
  exports->Function("epollControl", EpollControl, nullptr);
  exports->Function("epollWait", EpollWait, environment);
  exports->Function("monotonicMs", Monotonic, nullptr);
}

}  // namespace asynchia
