#include "readiness.h"

#include <fcntl.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>

namespace asynchia {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

double MonotonicMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

Deadline::Deadline(double timeout_ms)
    : is_never_(timeout_ms < 0 || std::isinf(timeout_ms)), is_now_(timeout_ms == 0) {
  if (!is_never_ && !is_now_) at_ms_ = MonotonicMs() + timeout_ms;
}

bool Deadline::Left(timespec* left) const {
  *left = {};
  if (is_never_ || is_now_) return is_now_;
  // What is longer than epoll_wait(2) can be told is waited for in several calls.
  const double ms = std::clamp(at_ms_ - MonotonicMs(), 0.0, static_cast<double>(INT_MAX));
  const double seconds = std::floor(ms / 1e3);
  const double nanoseconds = std::ceil((ms - seconds * 1e3) * 1e6);
  left->tv_sec = static_cast<time_t>(seconds);
  left->tv_nsec = static_cast<decltype(left->tv_nsec)>(std::min(nanoseconds, 999999999.0));
  return true;
}

bool Deadline::IsOver() const { return is_now_ || (!is_never_ && MonotonicMs() >= at_ms_); }

namespace {

// A signal ends the system call but not the wait (signal(7): these calls are never restarted), and
// neither does a time-out longer than a call takes.
template <typename Call>
int Repeat(const Deadline& deadline, Call call) {
  for (;;) {
    const int count = call();
    if (count > 0) return count;
    if (count < 0 && errno != EINTR) return -errno;
    if (deadline.IsOver()) return 0;
  }
}

// `call` gets the time that is left; null for never.
template <typename Call>
int Until(const Deadline& deadline, Call call) {
  return Repeat(deadline, [&] {
    timespec left{};
    return call(deadline.Left(&left) ? &left : nullptr);
  });
}

// The C library may not know the call. Its number is the same on every machine.
constexpr int kEpollPwait2 = 441;

// The system call's own, also where the C library's timespec has 32 bits.
struct KernelTime {
  int64_t seconds;
  int64_t nanoseconds;
};

}  // namespace

int PollUntil(pollfd* fds, nfds_t count, const Deadline& deadline) {
  return Until(deadline, [&](const timespec* left) { return ppoll(fds, count, left, nullptr); });
}

int EpollWaiter::Until(int epoll_fd, epoll_event* events, int capacity, const Deadline& deadline) {
  return Repeat(deadline, [&] { return Wait(epoll_fd, events, capacity, deadline); });
}

int EpollWaiter::Wait(int epoll_fd, epoll_event* events, int capacity, const Deadline& deadline) {
  timespec left{};
  const bool is_finite = deadline.Left(&left);
  const bool is_now = left.tv_sec == 0 && left.tv_nsec == 0;
  if (is_finite && !is_now && has_exact_wait_) {
    const KernelTime time{left.tv_sec, left.tv_nsec};
    const auto count = syscall(kEpollPwait2, epoll_fd, events, capacity, &time, nullptr, 0);
    // Older containers refuse calls that they do not know with EPERM.
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(count);
    has_exact_wait_ = false;
  }
  // Rounded up to whole milliseconds.
  const auto left_ms = left.tv_sec * 1000 + (left.tv_nsec + 999999) / 1000000;
  return epoll_wait(epoll_fd, events, capacity, is_finite ? static_cast<int>(left_ms) : -1);
}

int SelectUntil(int words, const SetWord* wanted, SetWord* ready, const Deadline& deadline) {
  return Until(deadline, [&](const timespec* left) {
    std::copy_n(wanted, 3 * words, ready);
    const auto set = [&](int index) { return reinterpret_cast<fd_set*>(ready + index * words); };
    return pselect(words * kSetWordBits, set(0), set(1), set(2), left, nullptr);
  });
}

}  // namespace asynchia
