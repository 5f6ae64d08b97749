// Files that notify of changes: /proc/self/mountinfo, cgroup.events, PSI, GPIO. proc(5), cgroups(7)
//
// Polling /proc/self/mountinfo takes its notification: whoever polls it first gets it, alone.
// Inside Node's loop that would be the instance that waits for all maps. So such a file stands in
// an epoll instance of its own, edge-triggered for POLLIN, which it always is; every edge is a
// notification. The backend watches that instance in the file's place.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "../by_descriptor.h"
#include "../descriptor.h"
#include "../status.h"
#include "backend.h"

namespace asynchia {
namespace {

class ChangesBackend final : public Backend {
 public:
  explicit ChangesBackend(std::unique_ptr<Backend> inner) : inner_(std::move(inner)), edges_(-1) {}

  int Add(int fd, int mask) override {
    if ((mask & POLLPRI) == 0 || !IsFile(fd)) return inner_->Add(fd, mask);
    const int result = AddEdges(fd);
    // Ordinary files have nothing to notify of.
    if (result == -EPERM) return inner_->Add(fd, mask);
    if (result < 0) return result;
    notifies_.Set(fd, true);
    return (mask & kLevels) == 0 ? 0 : inner_->Add(fd, mask & kLevels);
  }

  int Modify(int fd, int mask) override {
    if (!notifies_.Get(fd) && ((mask & POLLPRI) == 0 || !IsFile(fd))) {
      return inner_->Modify(fd, mask);
    }
    const int result = Remove(fd);
    return result < 0 ? result : Add(fd, mask);
  }

  int Remove(int fd) override {
    if (!notifies_.Get(fd)) return inner_->Remove(fd);
    notifies_.Set(fd, false);
    Ignore(epoll_ctl(edges_.get(), EPOLL_CTL_DEL, fd, nullptr));
    changed_.erase(std::remove(changed_.begin(), changed_.end(), fd), changed_.end());
    const int result = inner_->Remove(fd);
    return result == -ENOENT ? 0 : result;
  }

  int Wait(double timeout_ms, Ready* ready) override {
    const int result = inner_->Wait(changed_.empty() ? timeout_ms : 0, ready);
    if (edges_.get() < 0 || result < 0) return result;
    for (int i = 0; i < ready->count; i++) {
      if (ready->pairs[2 * i] != edges_.get()) continue;
      ready->count--;
      ready->pairs[2 * i] = ready->pairs[2 * ready->count];
      ready->pairs[2 * i + 1] = ready->pairs[2 * ready->count + 1];
      Collect(-1);
      break;
    }
    while (!changed_.empty() && !ready->IsFull()) {
      ready->Push(changed_.back(), POLLPRI | POLLERR);
      changed_.pop_back();
    }
    return result;
  }

  void Watch(std::vector<pollfd>* watched) const override { inner_->Watch(watched); }
  int WatchMask(int fd) const override { return inner_->WatchMask(fd); }
  bool IsReadyNow() const override { return !changed_.empty() || inner_->IsReadyNow(); }

 private:
  static constexpr int kLevels = POLLIN | POLLOUT;

  static bool IsFile(int fd) {
    struct stat status {};
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  }

  int AddEdges(int fd) {
    if (edges_.get() < 0) {
      Descriptor made(epoll_create1(EPOLL_CLOEXEC));
      if (made.get() < 0) return -errno;
      const int result = inner_->Add(made.get(), POLLIN);
      if (result < 0) return result;
      edges_.Reset(made.Release());
    }
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.fd = fd;
    if (epoll_ctl(edges_.get(), EPOLL_CTL_ADD, fd, &event) < 0) return -errno;
    // What was there before is no change.
    Collect(fd);
    return 0;
  }

  // Takes the edges, but not that of `except`.
  void Collect(int except) {
    epoll_event events[kBatch];
    int count = kBatch;
    while (count == kBatch) {
      count = epoll_wait(edges_.get(), events, kBatch, 0);
      for (int i = 0; i < count; i++) {
        const int fd = events[i].data.fd;
        const bool is_known = std::find(changed_.begin(), changed_.end(), fd) != changed_.end();
        if (fd != except && !is_known) changed_.push_back(fd);
      }
    }
  }

  static constexpr int kBatch = 16;

  std::unique_ptr<Backend> inner_;
  Descriptor edges_;
  ByDescriptor<bool> notifies_;
  std::vector<int> changed_;  // not reported yet
};

}  // namespace

std::unique_ptr<Backend> WithChanges(std::unique_ptr<Backend> inner) {
  if (inner == nullptr) return nullptr;
  return std::make_unique<ChangesBackend>(std::move(inner));
}

}  // namespace asynchia
