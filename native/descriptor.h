// Ownership of descriptors: one (Descriptor), and all that an environment has open
// (OwnedDescriptors).
#ifndef ASYNCHIA_DESCRIPTOR_H_
#define ASYNCHIA_DESCRIPTOR_H_

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

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
  void Reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

// JavaScript holds descriptors as plain integers. When its environment goes (a worker thread is
// terminated while the process lives on) what it still had open is closed here.
//
// O_NONBLOCK belongs to the open file description, which others may share (a shell and its
// programs share their terminal): what was found is restored when a descriptor is given back.
class OwnedDescriptors {
 public:
  OwnedDescriptors() = default;
  ~OwnedDescriptors() {
    for (int fd = 0; fd < facts_.End(); fd++) {
      const bool is_owned = (facts_.Get(fd) & kOwned) != 0;
      if (facts_.Get(fd) != 0) Restore(fd);
      if (is_owned) close(fd);
    }
  }
  OwnedDescriptors(const OwnedDescriptors&) = delete;
  OwnedDescriptors& operator=(const OwnedDescriptors&) = delete;

  // A new descriptor of our own making, which is non-blocking (or a negative errno), passes
  // through.
  int Insert(int fd) {
    if (fd >= 0) facts_.Set(fd, kOwned | kSeen);
    return fd;
  }

  // Takes over a descriptor that was made elsewhere, non-blocking and close-on-exec. 0 or -errno.
  int Adopt(int fd) {
    const int status = fcntl(fd, F_GETFL);
    if (status < 0 || fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0) return -errno;
    const int flags = fcntl(fd, F_GETFD);
    if (flags < 0 || fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0) {
      const int error = errno;
      fcntl(fd, F_SETFL, status);
      return -error;
    }
    int facts = kOwned | kSeen;
    if ((status & O_NONBLOCK) == 0) facts |= kWasBlocking;
    if ((flags & FD_CLOEXEC) == 0) facts |= kWasInherited;
    facts_.Set(fd, static_cast<uint8_t>(facts));
    return 0;
  }

  // accept4(2), connect(2), read(2) and write(2) wait where O_NONBLOCK is not set, and whoever
  // shares the descriptor can clear it at any time: called just before them. 0 or -errno.
  int MakeNonBlocking(int fd) {
    const int status = fcntl(fd, F_GETFL);
    if (status < 0) return -errno;
    const bool is_blocking = (status & O_NONBLOCK) == 0;
    if (is_blocking && fcntl(fd, F_SETFL, status | O_NONBLOCK) < 0) return -errno;
    if ((facts_.Get(fd) & kSeen) == 0) {
      facts_.Set(fd, static_cast<uint8_t>(is_blocking ? kSeen | kWasBlocking : kSeen));
    }
    return 0;
  }

  // It is to be closed, or was given away: it is as it was found.
  void Erase(int fd, bool stays_open) {
    if (facts_.Get(fd) == 0) return;
    if (stays_open && (facts_.Get(fd) & kWasInherited) != 0) {
      const int flags = fcntl(fd, F_GETFD);
      if (flags >= 0) fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
    }
    Restore(fd);
  }

 private:
  enum Fact : uint8_t {
    kOwned = 1,         // closed with the environment
    kSeen = 2,          // its flags are known as they were found
    kWasBlocking = 4,   // without O_NONBLOCK
    kWasInherited = 8,  // without FD_CLOEXEC
  };

  void Restore(int fd) {
    if ((facts_.Get(fd) & kWasBlocking) != 0) {
      const int flags = fcntl(fd, F_GETFL);
      if (flags >= 0) fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    }
    facts_.Clear(fd);
  }

  ByDescriptor<uint8_t> facts_;
};

}  // namespace asynchia

#endif  // ASYNCHIA_DESCRIPTOR_H_
