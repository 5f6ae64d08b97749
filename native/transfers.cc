// The calls a server makes for every message: integers and bytes in, an integer out.
//
// They retry EINTR and give -errno for failure; would-block is -EAGAIN. MSG_NOSIGNAL always: a peer
// that is gone is an error, not a SIGPIPE.
#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "environment.h"

namespace asynchia {
namespace {

// Where a transfer's integers stand; lib/binding.ts has the same.
enum TransferField : size_t { kFd, kOffset, kLength, kResult, kTransferFields };

// The C library's recv and send are points of cancellation, and pay for it with two atomic
// exchanges each as soon as there is a second thread, as there always is in Node. Hence syscall(2).
template <typename Call>
int Retry(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0) return static_cast<int>(result);
    if (errno != EINTR) return -errno;
  }
}

// The kernel transfers no more in one call (MAX_RW_COUNT), and an integer can tell no more.
constexpr size_t kMostBytes = INT32_MAX & ~4095;

int Receive(int fd, uint8_t* data, size_t length, int flags) {
  length = std::min(length, kMostBytes);
  return Retry([&] {
    return syscall(SYS_recvfrom, fd, data, length, flags | MSG_DONTWAIT, nullptr, nullptr);
  });
}

int Transmit(int fd, uint8_t* data, size_t length, int flags) {
  length = std::min(length, kMostBytes);
  flags |= MSG_NOSIGNAL | MSG_DONTWAIT;
  return Retry([&] { return syscall(SYS_sendto, fd, data, length, flags, nullptr, 0); });
}

// Into, or from, the slab that useSlab named. What they take and give stands in memory that is
// shared with JavaScript: a call without arguments or a result costs a third of one with them.
template <int (*Transfer)(int, uint8_t*, size_t, int)>
napi_value WithSlab(napi_env env, napi_callback_info /*info*/) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  const auto* environment = static_cast<Environment*>(data);
  int32_t* transfer = environment->transfer;
  if (transfer == nullptr) {
    napi_throw_error(env, nullptr, "useSlab has to be called first");
    return nullptr;
  }
  const int offset = transfer[kOffset];
  const int length = transfer[kLength];
  const Bytes& slab = environment->slab;
  transfer[kResult] = slab.Holds(offset, length) ? Transfer(transfer[kFd], slab.data + offset,
                                                            static_cast<size_t>(length), 0)
                                                 : -EFAULT;
  return nullptr;
}

// (bytes, Int32Array): from now on recvSlab receives into these, and is told how much in those.
napi_value UseSlab(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Bytes slab;
  Integers transfer;
  if (!arguments.ByteArray(0, &slab) || !arguments.Int32Array(1, &transfer)) return nullptr;
  if (transfer.length < kTransferFields) {
    arguments.Expected("room for what a transfer takes and gives");
    return nullptr;
  }
  auto* environment = arguments.Data<Environment>();
  for (napi_ref reference : {environment->slab_reference, environment->transfer_reference}) {
    if (reference != nullptr) napi_delete_reference(env, reference);
  }
  napi_create_reference(env, arguments[0], 1, &environment->slab_reference);
  napi_create_reference(env, arguments[1], 1, &environment->transfer_reference);
  environment->slab = slab;
  environment->transfer = transfer.data;
  return nullptr;
}

// (fd, bytes, offset, length, flags)
template <int (*Transfer)(int, uint8_t*, size_t, int)>
napi_value WithRange(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  Bytes bytes;
  int offset = 0;
  int length = 0;
  int flags = 0;
  if (!arguments.Int(0, &fd) || !arguments.ByteArray(1, &bytes) || !arguments.Int(2, &offset) ||
      !arguments.Int(3, &length) || !arguments.Int(4, &flags)) {
    return nullptr;
  }
  if (!bytes.Holds(offset, length)) return arguments.Return(-EFAULT);
  return arguments.Return(Transfer(fd, bytes.data + offset, static_cast<size_t>(length), flags));
}

// (fd, bytes): all of them, without flags. What most calls are, with less to take apart.
template <int (*Transfer)(int, uint8_t*, size_t, int)>
napi_value WithWhole(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  Bytes bytes;
  if (!arguments.Int(0, &fd) || !arguments.ByteArray(1, &bytes)) return nullptr;
  return arguments.Return(Transfer(fd, bytes.data, bytes.length, 0));
}

// (fd, array of bytes, offset into the first): one sendmsg(2).
napi_value SendMany(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  int offset = 0;
  uint32_t count = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  if (napi_get_array_length(env, arguments[1], &count) != napi_ok) {
    arguments.Expected("an array of Uint8Arrays");
    return nullptr;
  }
  if (!arguments.Int(2, &offset)) return nullptr;
  constexpr uint32_t kMostParts = 64;
  iovec parts[kMostParts];
  count = std::min(count, kMostParts);
  // Getting an element may run a getter, which may detach the memory of another: get all, then
  // look.
  napi_value elements[kMostParts];
  for (uint32_t i = 0; i < count; i++) {
    if (napi_get_element(env, arguments[1], i, &elements[i]) != napi_ok) return nullptr;
  }
  for (uint32_t i = 0; i < count; i++) {
    bool is_buffer = false;
    if (napi_is_buffer(env, elements[i], &is_buffer) != napi_ok || !is_buffer ||
        napi_get_buffer_info(env, elements[i], &parts[i].iov_base, &parts[i].iov_len) != napi_ok) {
      arguments.Expected("an array of Uint8Arrays");
      return nullptr;
    }
  }
  if (count == 0) return arguments.Return(0);
  if (!Bytes{nullptr, parts[0].iov_len}.Holds(offset, 0)) return arguments.Return(-EFAULT);
  parts[0].iov_base = static_cast<uint8_t*>(parts[0].iov_base) + offset;
  parts[0].iov_len -= static_cast<size_t>(offset);
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = count;
  return arguments.Return(
      Retry([&] { return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT); }));
}

// (fd): how many bytes lie unread, 0 at the end of the stream, -EAGAIN where neither is so, or the
// error that ended it. Asked only when the kernel has hinted at an end.
napi_value Unread(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  uint8_t byte = 0;
  int result = Receive(fd, &byte, 1, MSG_PEEK);
  if (result == -ENOTSOCK) {
    // Pipes and terminals cannot be peeked, but tell what they hold. What cannot even do that
    // (eventfd and the like) holds no bytes.
    const bool is_write_end = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY;
    int count = 0;
    if (is_write_end || ioctl(fd, FIONREAD, &count) < 0) count = 0;
    result = count;
  } else if (result == -EAGAIN) {
    // Neither bytes nor an end, yet POLLERR may stand because of the socket's error queue (time
    // stamps, zero-copy): level-triggered, it would be reported for ever.
    msghdr message{};
    while (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
    }
  }
  return arguments.Return(result);
}

// (fd): how many bytes that were sent the peer has not acknowledged yet.
napi_value Unacknowledged(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  int count = 0;
  return arguments.Return(ioctl(fd, SIOCOUTQ, &count) < 0 ? -errno : count);
}

}  // namespace

void ExportTransfers(napi_env env, napi_value exports, Environment* environment) {
  Export(env, exports, "recvSlab", WithSlab<Receive>, nullptr);
  Export(env, exports, "sendSlab", WithSlab<Transmit>, nullptr);
  Export(env, exports, "recv", WithRange<Receive>, nullptr);
  Export(env, exports, "send", WithRange<Transmit>, nullptr);
  Export(env, exports, "recvWhole", WithWhole<Receive>, nullptr);
  Export(env, exports, "sendWhole", WithWhole<Transmit>, nullptr);
  Export(env, exports, "sendMany", SendMany, nullptr);
  Export(env, exports, "unread", Unread, nullptr);
  Export(env, exports, "unacknowledged", Unacknowledged, nullptr);
  Export(env, exports, "useSlab", UseSlab, environment);
}

}  // namespace asynchia
