// epoll(7), level-triggered.
#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "../by_descriptor.h"
#include "../descriptor.h"
#include "backend.h"

namespace asynchia {
namespace {

class EpollBackend final : public Backend {
 public:
  explicit EpollBackend(int epoll_fd) : epoll_(epoll_fd) {}

  int Add(int fd, int mask) override {
    if (fd < 0) return -EBADF;
    if (masks_.Get(fd) != 0) return -EEXIST;
    epoll_event event = Event(fd, mask);
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) {
      // epoll_ctl(2): EPERM is how regular files and directories are refused. poll(2) and
      // select(2) call them always ready, and so does this.
      if (errno != EPERM) return -errno;
      always_ready_.push_back(fd);
    }
    masks_.Set(fd, mask);
    return 0;
  }

  int Modify(int fd, int mask) override {
    const int was = masks_.Get(fd);
    if (was == 0) return -ENOENT;
    if (was == mask) return 0;
    if (FileAt(fd) == always_ready_.end()) {
      epoll_event event = Event(fd, mask);
      if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) < 0) return -errno;
    }
    masks_.Set(fd, mask);
    return 0;
  }

  // Told to the kernel although closing a descriptor would do it too: a duplicate (one that a child
  // process inherited between fork and exec, say) keeps a closed descriptor reporting.
  int Remove(int fd) override {
    if (masks_.Get(fd) == 0) return -ENOENT;
    masks_.Set(fd, 0);
    const auto file = FileAt(fd);
    if (file != always_ready_.end()) {
      always_ready_.erase(file);
      return 0;
    }
    return epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) < 0 ? -errno : 0;
  }

  int Wait(double timeout_ms, Ready* ready) override {
    const bool has_ready_file = HasReadyFile();
    const int room = ready->capacity - ready->count;
    // Files leave half of the room to the rest, so that neither starves the other.
    const int most = std::min(kBatch, has_ready_file ? (room + 1) / 2 : room);
    const int count =
        waiter_.Until(epoll_.get(), events_, most, Deadline(has_ready_file ? 0 : timeout_ms));
    if (count < 0) return count;
    for (int i = 0; i < count; i++) {
      ready->Push(events_[i].data.fd, static_cast<int>(events_[i].events));
    }
    if (has_ready_file) PushReadyFiles(ready);
    return 0;
  }

  bool Watch(std::vector<pollfd>* watched) const override {
    watched->push_back({epoll_.get(), POLLIN, 0});
    return !HasReadyFile();
  }

 private:
  static constexpr int kBatch = 1024;
  static constexpr int kFileBits = POLLIN | POLLOUT;

  static epoll_event Event(int fd, int mask) {
    epoll_event event{};
    event.events = static_cast<uint32_t>(mask);
    event.data.fd = fd;
    return event;
  }

  std::vector<int>::const_iterator FileAt(int fd) const {
    return std::find(always_ready_.begin(), always_ready_.end(), fd);
  }

  bool HasReadyFile() const {
    return std::any_of(always_ready_.begin(), always_ready_.end(),
                       [this](int fd) { return (masks_.Get(fd) & kFileBits) != 0; });
  }

  void PushReadyFiles(Ready* ready) {
    const size_t count = always_ready_.size();
    for (size_t i = 0; i < count && !ready->IsFull(); i++) {
      next_file_ = (next_file_ + 1) % count;
      const int fd = always_ready_[next_file_];
      const int bits = masks_.Get(fd) & kFileBits;
      if (bits != 0) ready->Push(fd, bits);
    }
  }

  Descriptor epoll_;
  EpollWaiter waiter_;
  // 0: not registered. Not the loop's masks: epoll_ctl(2) does not return what a descriptor is
  // registered for, and regular files are not registered with the kernel at all.
  ByDescriptor<int> masks_;
  std::vector<int> always_ready_;
  size_t next_file_ = 0;
  epoll_event events_[kBatch];
};

}  // namespace

std::unique_ptr<Backend> MakeEpollBackend() {
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  return fd < 0 ? nullptr : std::make_unique<EpollBackend>(fd);
}

}  // namespace asynchia
