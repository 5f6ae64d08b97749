// epoll(7), level-triggered.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "../by_descriptor.h"
#include "../descriptor.h"
#include "../status.h"
#include "backend.h"

namespace asynchia {
namespace {

class EpollBackend final : public Backend {
 public:
  explicit EpollBackend(int epoll_fd) : epoll_(epoll_fd) {}

  int Add(int fd, int mask) override {
    if (fd < 0) return -EBADF;
    if (MaskOf(fd) != 0) return -EEXIST;
    const Entry entry{mask, ++generation_};
    const int result = Control(EPOLL_CTL_ADD, fd, entry);
    if (result < 0) {
      // epoll_ctl(2): EPERM is how regular files and directories are refused. poll(2) and
      // select(2) call them always ready, and so does this.
      if (result != -EPERM) return result;
      always_ready_.push_back(fd);
    }
    entries_.Set(fd, entry);
    return 0;
  }

  int Modify(int fd, int mask) override {
    Entry entry = entries_.Get(fd);
    if (entry.mask == 0) return -ENOENT;
    if (entry.mask == mask) return 0;
    entry.mask = mask;
    if (FileAt(fd) == always_ready_.end()) {
      const int result = Control(EPOLL_CTL_MOD, fd, entry);
      if (result < 0) return result;
    }
    entries_.Set(fd, entry);
    return 0;
  }

  // Told to the kernel although closing a descriptor would do it too: a duplicate (one that a child
  // process inherited between fork and exec, say) keeps a closed descriptor reporting.
  int Remove(int fd) override {
    if (MaskOf(fd) == 0) return -ENOENT;
    entries_.Set(fd, {});
    const auto file = FileAt(fd);
    if (file != always_ready_.end()) {
      always_ready_.erase(file);
      return 0;
    }
    return Control(EPOLL_CTL_DEL, fd, {});
  }

  int Wait(double timeout_ms, Ready* ready) override {
    const bool has_ready_file = HasReadyFile();
    const Deadline deadline(has_ready_file ? 0 : timeout_ms);
    int result = 0;
    for (;;) {
      const int room = ready->capacity - ready->count;
      // Files leave half of the room to the rest, so that neither starves the other.
      const int most = std::min(kBatch, has_ready_file ? (room + 1) / 2 : room);
      const int count = waiter_.Until(epoll_.get(), events_, most, deadline);
      if (count < 0) return count;
      if (Push(count, ready)) break;
      const int renewed = Renew();
      if (renewed < 0) return renewed;
      result = kWatchAnew;
      if (ready->count > 0 || deadline.IsOver()) break;
    }
    if (has_ready_file) PushReadyFiles(ready);
    return result;
  }

  void Watch(std::vector<pollfd>* watched) const override {
    watched->push_back({epoll_.get(), POLLIN, 0});
  }

  int WatchMask(int fd) const override { return fd == epoll_.get() ? POLLIN : 0; }

  bool IsReadyNow() const override { return HasReadyFile(); }

 private:
  static constexpr int kBatch = 1024;
  static constexpr int kFileBits = POLLIN | POLLOUT;

  // What a descriptor is registered for. The generation tells it from those that had its number
  // before.
  struct Entry {
    int mask = 0;  // 0: not registered
    uint32_t generation = 0;
  };

  int MaskOf(int fd) const { return entries_.Get(fd).mask; }

  int Control(int operation, int fd, const Entry& entry) {
    epoll_event event{};
    event.events = static_cast<uint32_t>(entry.mask);
    event.data.u64 = uint64_t{entry.generation} << 32 | static_cast<uint32_t>(fd);
    return epoll_ctl(epoll_.get(), operation, fd, &event) < 0 ? -errno : 0;
  }

  // A descriptor was closed by others while a duplicate of it lives (in a child process, say): the
  // kernel goes on reporting it, and nobody can remove it. epoll(7), questions and answers. So a
  // new instance takes the place, and the number, of this one.
  int Renew() {
    const Descriptor fresh(epoll_create1(EPOLL_CLOEXEC));
    if (fresh.get() < 0 || dup3(fresh.get(), epoll_.get(), O_CLOEXEC) < 0) return -errno;
    for (int fd = 0; fd < entries_.End(); fd++) {
      const Entry entry = entries_.Get(fd);
      if (entry.mask == 0 || FileAt(fd) != always_ready_.end()) continue;
      // What fails was closed by others too, and reports nothing, as before.
      Ignore(Control(EPOLL_CTL_ADD, fd, entry));
    }
    return 0;
  }

  std::vector<int>::const_iterator FileAt(int fd) const {
    return std::find(always_ready_.begin(), always_ready_.end(), fd);
  }

  bool HasReadyFile() const {
    return std::any_of(always_ready_.begin(), always_ready_.end(),
                       [this](int fd) { return (MaskOf(fd) & kFileBits) != 0; });
  }

  // False if some of the events are for descriptors that nobody can remove any more.
  bool Push(int count, Ready* ready) {
    bool is_sound = true;
    for (int i = 0; i < count; i++) {
      const uint64_t data = events_[i].data.u64;
      const int fd = static_cast<int>(data & UINT32_MAX);
      if (entries_.Get(fd).generation == data >> 32) {
        ready->Push(fd, static_cast<int>(events_[i].events));
      } else {
        is_sound = false;
      }
    }
    return is_sound;
  }

  void PushReadyFiles(Ready* ready) {
    const size_t count = always_ready_.size();
    for (size_t i = 0; i < count && !ready->IsFull(); i++) {
      next_file_ = (next_file_ + 1) % count;
      const int fd = always_ready_[next_file_];
      const int bits = MaskOf(fd) & kFileBits;
      if (bits != 0) ready->Push(fd, bits);
    }
  }

  Descriptor epoll_;
  EpollWaiter waiter_;
  // Not the loop's masks: epoll_ctl(2) does not return what a descriptor is registered for, and
  // regular files are not registered with the kernel at all.
  ByDescriptor<Entry> entries_;
  uint32_t generation_ = 0;
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
