// Ownership of descriptors: one (Descriptor), and all that an environment has open
// (OwnedDescriptors).
#ifndef ASYNCHIA_DESCRIPTOR_H_
#define ASYNCHIA_DESCRIPTOR_H_

#include <unistd.h>

#include <cstddef>
#include <vector>

namespace asynchia {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void Reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// JavaScript holds descriptors as plain integers. When its environment goes (a worker thread is
// terminated while the process lives on) what it still had open is closed here.
class OwnedDescriptors {
 public:
  OwnedDescriptors() = default;
  ~OwnedDescriptors() {
    for (size_t fd = 0; fd < is_owned_.size(); fd++) {
      if (is_owned_[fd]) close(static_cast<int>(fd));
    }
  }
  OwnedDescriptors(const OwnedDescriptors&) = delete;
  OwnedDescriptors& operator=(const OwnedDescriptors&) = delete;

  // Passes a new descriptor (or a negative errno) through.
  int Insert(int fd) {
    if (fd < 0) return fd;
    const auto index = static_cast<size_t>(fd);
    if (index >= is_owned_.size()) is_owned_.resize(index + 64);
    is_owned_[index] = true;
    return fd;
  }

  void Erase(int fd) {
    const auto index = static_cast<size_t>(fd);
    if (fd >= 0 && index < is_owned_.size()) is_owned_[index] = false;
  }

 private:
  std::vector<bool> is_owned_;
};

}  // namespace asynchia

#endif  // ASYNCHIA_DESCRIPTOR_H_
