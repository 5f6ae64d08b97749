// The calls a server makes for every message: integers and bytes in, an integer out.
//
// They retry EINTR and give -errno for failure; would-block is -EAGAIN. MSG_NOSIGNAL always: a peer
// that is gone is an error, not a SIGPIPE.
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "environment.h"
#include "retry.h"

namespace asynchia {
namespace {

// Where a transfer's integers stand. lib/system/binding.ts has the same, and checks it at load.
enum TransferField : size_t { kFd, kOffset, kLength, kResult, kTransferFields };

// The C library's recv and send are points of cancellation, and pay for it with two atomic
// exchanges each as soon as there is a second thread, as there always is in Node. Hence syscall(2).
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

// Memory that calls receive into and send from, and the integers that they take and give. Each copy
// of the library that runs in an environment has its own: of a slab that two of them shared, one
// would give away parts that the other writes to.
struct Slab final : Shared {
  explicit Slab(napi_env env) : env(env) {}
  ~Slab() override {
    // References have to be deleted: Node does not free them with the environment.
    for (napi_ref reference : {bytes_reference, transfer_reference}) {
      if (reference != nullptr) Ignore(napi_delete_reference(env, reference));
    }
  }

  napi_env env;
  Bytes bytes;
  int32_t* transfer = nullptr;
  napi_ref bytes_reference = nullptr;
  napi_ref transfer_reference = nullptr;
};

// Into, or from, the slab. What they take and give stands in memory that is shared with
// JavaScript: a call without arguments or a result costs a third of one with them.
template <int (*Transfer)(int, uint8_t*, size_t, int)>
napi_value WithSlab(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  if (!Ok(napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data))) return nullptr;
  const auto* slab = static_cast<Slab*>(data);
  int32_t* transfer = slab->transfer;
  const int offset = transfer[kOffset];
  const int length = transfer[kLength];
  transfer[kResult] =
      slab->bytes.Holds(offset, length)
          ? Transfer(transfer[kFd], slab->bytes.data + offset, static_cast<size_t>(length), 0)
          : -EFAULT;
  return nullptr;
}

// (bytes): from now on these are the slab.
napi_value UseSlab(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Bytes bytes;
  if (!arguments.ByteArray(0, &bytes)) return nullptr;
  auto* slab = arguments.Data<Slab>();
  napi_ref reference = nullptr;
  if (!Ok(napi_create_reference(env, arguments[0], 1, &reference))) return nullptr;
  std::swap(slab->bytes_reference, reference);
  slab->bytes = bytes;
  if (reference != nullptr) Ignore(napi_delete_reference(env, reference));
  return nullptr;
}

// (Int32Array) -> a slab, without memory as yet, that takes and gives its integers there.
napi_value MakeSlab(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Integers transfer;
  if (!arguments.Int32Array(0, &transfer)) return nullptr;
  if (transfer.length < kTransferFields) {
    arguments.Expected("room for what a transfer takes and gives");
    return nullptr;
  }
  auto slab = std::make_unique<Slab>(env);
  if (!Ok(napi_create_reference(env, arguments[0], 1, &slab->transfer_reference))) return nullptr;
  slab->transfer = transfer.data;
  ObjectBuilder object(env);
  object.Functions({{"use", UseSlab}, {"recv", WithSlab<Receive>}, {"send", WithSlab<Transmit>}},
                   slab.release());
  return object.Done();
}

// How many parts one sendmsg(2) takes here.
constexpr uint32_t kMostParts = 64;

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
  if (!Ok(napi_get_array_length(env, arguments[1], &count))) {
    arguments.Expected("an array of Uint8Arrays");
    return nullptr;
  }
  if (!arguments.Int(2, &offset)) return nullptr;
  iovec parts[kMostParts];
  count = std::min(count, kMostParts);
  // Getting an element may run a getter, which may detach the memory of another: get all, then
  // look.
  napi_value elements[kMostParts];
  for (uint32_t i = 0; i < count; i++) {
    if (!Ok(napi_get_element(env, arguments[1], i, &elements[i]))) return nullptr;
  }
  for (uint32_t i = 0; i < count; i++) {
    bool is_buffer = false;
    if (!Ok(napi_is_buffer(env, elements[i], &is_buffer)) || !is_buffer ||
        !Ok(napi_get_buffer_info(env, elements[i], &parts[i].iov_base, &parts[i].iov_len))) {
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
  const int result = Receive(fd, &byte, 1, MSG_PEEK);
  if (result == -EAGAIN) {
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

void ExportTransfers(ObjectBuilder* exports) {
  exports->Function("recv", WithRange<Receive>, nullptr);
  exports->Function("send", WithRange<Transmit>, nullptr);
  exports->Function("recvWhole", WithWhole<Receive>, nullptr);
  exports->Function("sendWhole", WithWhole<Transmit>, nullptr);
  exports->Function("sendMany", SendMany, nullptr);
  exports->Function("unread", Unread, nullptr);
  exports->Function("unacknowledged", Unacknowledged, nullptr);
  exports->Function("makeSlab", MakeSlab, nullptr);
  ObjectBuilder layout(exports->env());
  layout.Number("fd", kFd);
  layout.Number("offset", kOffset);
  layout.Number("length", kLength);
  layout.Number("result", kResult);
  layout.Number("fields", kTransferFields);
  exports->Set("transferLayout", layout.Done());
  exports->Number("mostParts", kMostParts);
}

}  // namespace asynchia
