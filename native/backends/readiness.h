// The three system calls that report readiness, as the rest of the addon uses them: interrupted
// waits go on for the time that is left, time-outs are as exact as the kernel's and never end a
// wait early, and failure is a negative errno.
#ifndef ASYNCHIA_READINESS_H_
#define ASYNCHIA_READINESS_H_

#include <poll.h>
#include <sys/epoll.h>

#include <cstdint>
#include <ctime>

namespace asynchia {

// poll(2)'s bits are the project's bits; epoll shares them.
static_assert(POLLIN == EPOLLIN && POLLPRI == EPOLLPRI && POLLOUT == EPOLLOUT &&
                  POLLERR == EPOLLERR && POLLHUP == EPOLLHUP && POLLRDHUP == EPOLLRDHUP,
              "epoll_ctl(2) and poll(2) share their bits");

// Bits that the kernel reports whether they were asked for or not.
constexpr int kUnasked = POLLERR | POLLHUP | POLLNVAL;

// select(2) passes over descriptors beyond the process's table in silence, and reports them as
// ready; poll(2) reports one at every wait. epoll_ctl(2) asks once, at the beginning, and so do
// we.
bool IsOpen(int fd);

// CLOCK_MONOTONIC in milliseconds: the one clock of waits and timers.
double MonotonicMs();

// When a wait ends.
class Deadline {
 public:
  // Negative or infinite: never.
  explicit Deadline(double timeout_ms);
  // The time that is left, rounded up. False: it never ends.
  bool Left(timespec* left) const;
  bool IsOver() const;

 private:
  bool is_never_;
  bool is_now_;
  double at_ms_ = 0;
};

int PollUntil(pollfd* fds, nfds_t count, const Deadline& deadline);

// epoll_wait(2) waits for whole milliseconds; epoll_pwait2(2) waits exactly, where the kernel has
// it (Linux 5.11) and lets us call it. Whoever waits keeps one of these, so that it asks once.
class EpollWaiter {
 public:
  int Until(int epoll_fd, epoll_event* events, int capacity, const Deadline& deadline);

 private:
  int Wait(int epoll_fd, epoll_event* events, int capacity, const Deadline& deadline);

  bool has_exact_wait_ = true;
};

// Sets are arrays of words with one bit a descriptor and may be longer than an fd_set: the kernel's
// bound is the descriptor table, FD_SETSIZE is the C library's.
using SetWord = unsigned long;  // NOLINT(google-runtime-int): select(2)'s own word
constexpr int kSetWordBits = 8 * static_cast<int>(sizeof(SetWord));
// `sets` are read, write, except, `words` each, and are overwritten with what is ready.
int SelectUntil(int words, const SetWord* wanted, SetWord* ready, const Deadline& deadline);

}  // namespace asynchia

#endif  // ASYNCHIA_READINESS_H_
