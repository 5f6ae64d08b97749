// Ownership of descriptors: one (Descriptor), and all that an environment has open
// (OwnedDescriptors).
#ifndef ASYNCHIA_DESCRIPTOR_H_
#define ASYNCHIA_DESCRIPTOR_H_

#include <unistd.h>

#include "by_descriptor.h"

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
    for (int fd = 0; fd < is_owned_.End(); fd++) {
      if (is_owned_.Get(fd)) close(fd);
    }
  }
  OwnedDescriptors(const OwnedDescriptors&) = delete;
  OwnedDescriptors& operator=(const OwnedDescriptors&) = delete;

  // Passes a new descriptor (or a negative errno) through.
  int Insert(int fd) {
    if (fd >= 0) is_owned_.Set(fd, true);
    return fd;
  }

  void Erase(int fd) {
    if (is_owned_.Get(fd)) is_owned_.Set(fd, false);
  }

 private:
  ByDescriptor<bool> is_owned_;
};

}  // namespace asynchia

#endif  // ASYNCHIA_DESCRIPTOR_H_
