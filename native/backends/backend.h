// The seam: what the loop needs of a readiness mechanism, and nothing more.
#ifndef ASYNCHIA_BACKEND_H_
#define ASYNCHIA_BACKEND_H_

#include <node_api.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "readiness.h"

namespace asynchia {

// What is ready, as (descriptor, bits) pairs in memory that JavaScript shares.
struct Ready {
  int32_t* pairs = nullptr;
  int capacity = 0;
  int count = 0;

  bool IsFull() const { return count == capacity; }
  void Push(int fd, int bits) {
    pairs[2 * count] = fd;
    pairs[2 * count + 1] = bits;
    count++;
  }
};

// Masks and results are in poll(2)'s bits; POLLERR, POLLHUP and POLLNVAL are reported unasked.
// Everything is level-triggered. Failure is a negative errno.
class Backend {
 public:
  // What Watch lists has to be watched anew, though its numbers are the same.
  static constexpr int kWatchAnew = 1;

  Backend() = default;
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  virtual int Add(int fd, int mask) = 0;
  // With an unchanged mask too, it makes a descriptor be looked at afresh.
  virtual int Modify(int fd, int mask) = 0;
  virtual int Remove(int fd) = 0;
  // Appends to `ready`; returns 0, a negative errno, or kWatchAnew.
  virtual int Wait(double timeout_ms, Ready* ready) = 0;

  // Adds what has to be watched in order to know, without waiting, that Wait has something: inside
  // Node's loop one epoll instance waits for all maps.
  virtual void Watch(std::vector<pollfd>* watched) const = 0;
  // What `fd` has to be watched for; 0: it need not be.
  virtual int WatchMask(int fd) const = 0;
  // Whether something is ready that watching does not show.
  virtual bool IsReadyNow() const { return false; }
};

// A backend that also reports the notifications of files; null where `inner` is.
std::unique_ptr<Backend> WithChanges(std::unique_ptr<Backend> inner);

std::unique_ptr<Backend> MakeSelectBackend();
std::unique_ptr<Backend> MakePollBackend();
// Null where the kernel gives no epoll instance (errno says why).
std::unique_ptr<Backend> MakeEpollBackend();

}  // namespace asynchia

#endif  // ASYNCHIA_BACKEND_H_
