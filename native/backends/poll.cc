// poll(2).
#include <cerrno>
#include <cstddef>

#include "../by_descriptor.h"
#include "backend.h"

namespace asynchia {
namespace {

class PollBackend final : public Backend {
 public:
  int Add(int fd, int mask) override {
    if (!IsOpen(fd)) return -EBADF;
    if (Find(fd) != nullptr) return -EEXIST;
    fds_.push_back({fd, static_cast<int16_t>(mask), 0});
    place_.Set(fd, static_cast<int>(fds_.size()));
    return 0;
  }

  int Modify(int fd, int mask) override {
    pollfd* entry = Find(fd);
    if (entry == nullptr) return -ENOENT;
    entry->events = static_cast<int16_t>(mask);
    return 0;
  }

  int Remove(int fd) override {
    pollfd* entry = Find(fd);
    if (entry == nullptr) return -ENOENT;
    *entry = fds_.back();
    place_.Set(entry->fd, place_.Get(fd));
    place_.Set(fd, 0);
    fds_.pop_back();
    return 0;
  }

  int Wait(double timeout_ms, Ready* ready) override {
    int left = PollUntil(fds_.data(), fds_.size(), Deadline(timeout_ms));
    if (left < 0) return left;
    // Where more is ready than there is room for, the next turn starts behind what this one saw.
    const size_t size = fds_.size();
    for (size_t i = 0; i < size && left > 0 && !ready->IsFull(); i++) {
      next_ = next_ + 1 < size ? next_ + 1 : 0;
      const pollfd& entry = fds_[next_];
      if (entry.revents == 0) continue;
      ready->Push(entry.fd, entry.revents);
      left--;
    }
    return 0;
  }

  void Watch(std::vector<pollfd>* watched) const override {
    watched->insert(watched->end(), fds_.begin(), fds_.end());
  }

  int WatchMask(int fd) const override {
    const int place = place_.Get(fd);
    return place == 0 ? 0 : fds_[static_cast<size_t>(place) - 1].events;
  }

 private:
  pollfd* Find(int fd) {
    const int place = place_.Get(fd);
    return place == 0 ? nullptr : &fds_[static_cast<size_t>(place) - 1];
  }

  std::vector<pollfd> fds_;
  ByDescriptor<int> place_;  // in fds_, from 1; 0: not registered
  size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Backend> MakePollBackend() { return std::make_unique<PollBackend>(); }

}  // namespace asynchia
