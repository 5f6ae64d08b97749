#include "readiness.h"

#include <fcntl.h>
#include <sys/select.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>
#include <ctime>

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

int Deadline::LeftMs() const {
  if (is_never_) return -1;
  if (is_now_) return 0;
  const double left = std::ceil(at_ms_ - MonotonicMs());
  return static_cast<int>(std::min(std::max(left, 0.0), static_cast<double>(INT_MAX)));
}

bool Deadline::IsOver() const { return is_now_ || (!is_never_ && MonotonicMs() >= at_ms_); }

namespace {

// A signal ends the system call but not the wait (signal(7): these calls are never restarted), and
// neither does a time-out longer than an int can hold.
template <typename Call>
int Until(const Deadline& deadline, Call call) {
  for (;;) {
    const int count = call(deadline.LeftMs());
    if (count > 0) return count;
    if (count < 0 && errno != EINTR) return -errno;
    if (deadline.IsOver()) return 0;
  }
}

}  // namespace

int PollUntil(pollfd* fds, nfds_t count, const Deadline& deadline) {
  return Until(deadline, [&](int left_ms) { return poll(fds, count, left_ms); });
}

int EpollUntil(int epoll_fd, epoll_event* events, int capacity, const Deadline& deadline) {
  return Until(deadline,
               [&](int left_ms) { return epoll_wait(epoll_fd, events, capacity, left_ms); });
}

int SelectUntil(int words, const SetWord* wanted, SetWord* ready, const Deadline& deadline) {
  return Until(deadline, [&](int left_ms) {
    std::copy_n(wanted, 3 * words, ready);
    timespec left{left_ms / 1000, (left_ms % 1000) * 1000000L};
    const auto set = [&](int index) { return reinterpret_cast<fd_set*>(ready + index * words); };
    return pselect(words * kSetWordBits, set(0), set(1), set(2), left_ms < 0 ? nullptr : &left,
                   nullptr);
  });
}

}  // namespace asynchia
