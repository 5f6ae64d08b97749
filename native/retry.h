// A transfer's system call: how often it is made, and how much it may move.
#ifndef ASYNCHIA_RETRY_H_
#define ASYNCHIA_RETRY_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace asynchia {

// The kernel transfers no more in one call (MAX_RW_COUNT), and an int holds no more.
constexpr size_t kMostBytes = INT32_MAX & ~4095;

// Makes a call until no signal interrupts it. Returns its result, or a negative errno.
template <typename Call>
int Retry(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0) return static_cast<int>(result);
    if (errno != EINTR) return -errno;
  }
}

}  // namespace asynchia

#endif  // ASYNCHIA_RETRY_H_
