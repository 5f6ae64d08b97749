// Descriptors that are no sockets (pipes, terminals, other character devices): read(2) and write(2)
// in place of recv(2) and send(2). They have no MSG_DONTWAIT, so O_NONBLOCK is looked at before
// each.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "environment.h"
#include "retry.h"

namespace asynchia {
namespace {

bool IsHungUp(int fd, int bits = POLLHUP) {
  pollfd entry{fd, 0, 0};
  return poll(&entry, 1, 0) > 0 && (entry.revents & bits) != 0;
}

// Reading behind the hang-up of a terminal's other side is EIO, which is its end of the stream.
int Read(int fd, uint8_t* data, size_t length) {
  const int result = Retry([&] { return read(fd, data, std::min(length, kMostBytes)); });
  return result == -EIO && IsHungUp(fd) ? 0 : result;
}

int Write(int fd, uint8_t* data, size_t length) {
  return Retry([&] { return write(fd, data, std::min(length, kMostBytes)); });
}

// (fd, bytes, offset, length)
template <int (*Transfer)(int, uint8_t*, size_t)>
napi_value WithRange(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  Bytes bytes;
  int offset = 0;
  int length = 0;
  if (!arguments.Int(0, &fd) || !arguments.ByteArray(1, &bytes) || !arguments.Int(2, &offset) ||
      !arguments.Int(3, &length)) {
    return nullptr;
  }
  if (!bytes.Holds(offset, length)) return arguments.Return(-EFAULT);
  const int status = arguments.Data<Environment>()->descriptors.MakeNonBlocking(fd);
  if (status < 0) return arguments.Return(status);
  return arguments.Return(Transfer(fd, bytes.data + offset, static_cast<size_t>(length)));
}

// FIONREAD counts a pipe's bytes at both of its ends.
int CountOf(int fd, unsigned long request) {  // NOLINT(google-runtime-int): ioctl(2)'s own type
  int count = 0;
  return ioctl(fd, request, &count) < 0 ? 0 : std::max(count, 0);
}

// (fd): how many bytes can be read, 0 at the end of the stream, -EAGAIN where neither is known.
napi_value StreamUnread(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  const int status = fcntl(fd, F_GETFL);
  if (status < 0) return arguments.Return(-errno);
  const bool is_write_end = (status & O_ACCMODE) == O_WRONLY;
  const int count = is_write_end ? 0 : CountOf(fd, FIONREAD);
  if (count > 0) return arguments.Return(count);
  // The writing end of a pipe without a reader has POLLERR. pipe(7), poll(2)
  const int ended = is_write_end ? POLLHUP | POLLERR : POLLHUP;
  return arguments.Return(IsHungUp(fd, ended) ? 0 : -EAGAIN);
}

// (fd): how many bytes that were written the other side has not read, or the device not sent.
napi_value StreamUntaken(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  return arguments.Return(CountOf(fd, TIOCOUTQ));
}

// (fd): what it is, as st_mode has it (inode(7)), -errno where it is not open. 0: an anonymous
// inode, such as an eventfd(2).
napi_value FileType(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  struct stat status {};
  if (fstat(fd, &status) < 0) return arguments.Return(-errno);
  return arguments.Return(static_cast<int>(status.st_mode & S_IFMT));
}

}  // namespace

void ExportByteStreams(ObjectBuilder* exports, Environment* environment) {
  exports->Function("streamRead", WithRange<Read>, environment);
  exports->Function("streamWrite", WithRange<Write>, environment);
  exports->Function("streamUnread", StreamUnread, nullptr);
  exports->Function("streamUntaken", StreamUntaken, nullptr);
  exports->Function("fileType", FileType, nullptr);
}

}  // namespace asynchia
