// Making, naming and ending sockets: one system call a function, -errno for failure.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "addresses.h"
#include "environment.h"

namespace asynchia {
namespace {

constexpr int kSocketFlags = SOCK_NONBLOCK | SOCK_CLOEXEC;

napi_value ReturnStatus(const Arguments& arguments, int status) {
  return arguments.Return(status < 0 ? -errno : status);
}

// (family, type, protocol)
napi_value CreateSocket(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int family = 0;
  int type = 0;
  int protocol = 0;
  if (!arguments.Int(0, &family) || !arguments.Int(1, &type) || !arguments.Int(2, &protocol)) {
    return nullptr;
  }
  const int fd = socket(family, type | kSocketFlags, protocol);
  return arguments.Return(fd < 0 ? -errno : arguments.Data<Environment>()->descriptors.Insert(fd));
}

// (family, type, Int32Array of two)
napi_value SocketPair(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int family = 0;
  int type = 0;
  Integers pair;
  if (!arguments.Int(0, &family) || !arguments.Int(1, &type) || !arguments.Int32Array(2, &pair)) {
    return nullptr;
  }
  if (pair.length < 2) return arguments.Return(-EFAULT);
  if (socketpair(family, type | kSocketFlags, 0, pair.data) < 0) return arguments.Return(-errno);
  for (size_t i = 0; i < 2; i++) arguments.Data<Environment>()->descriptors.Insert(pair.data[i]);
  return arguments.Return(0);
}

// (fd): takes over a descriptor that was made elsewhere, non-blocking and close-on-exec.
napi_value Adopt(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  return arguments.Return(arguments.Data<Environment>()->descriptors.Adopt(fd));
}

// (fd): forgets it without closing it, with the flags that it was found with.
napi_value Disown(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  arguments.Data<Environment>()->descriptors.Erase(fd, true);
  return arguments.Return(0);
}

napi_value Close(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  arguments.Data<Environment>()->descriptors.Erase(fd, false);
  // close(2): on Linux the descriptor is gone even when EINTR is reported; never try again.
  return ReturnStatus(arguments, close(fd) < 0 && errno != EINTR ? -1 : 0);
}

template <int (*Call)(int, const sockaddr*, socklen_t), bool mayWait>
napi_value WithAddress(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  Bytes packed;
  if (!arguments.Int(0, &fd) || !arguments.ByteArray(1, &packed)) return nullptr;
  sockaddr_storage address{};
  if (packed.length > sizeof address) return arguments.Return(-EINVAL);
  std::copy_n(packed.data, packed.length, reinterpret_cast<uint8_t*>(&address));
  // Where it fails, so does the call itself.
  if (mayWait) arguments.Data<Environment>()->descriptors.MakeNonBlocking(fd);
  return ReturnStatus(arguments, Call(fd, reinterpret_cast<sockaddr*>(&address),
                                      static_cast<socklen_t>(packed.length)));
}

template <int (*Call)(int, int)>
napi_value WithInteger(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  int number = 0;
  if (!arguments.Int(0, &fd) || !arguments.Int(1, &number)) return nullptr;
  return ReturnStatus(arguments, Call(fd, number));
}

// (fd) -> an address object or a negative errno
template <int (*Call)(int, sockaddr*, socklen_t*)>
napi_value NameOf(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (Call(fd, reinterpret_cast<sockaddr*>(&address), &length) < 0) {
    return arguments.Return(-errno);
  }
  return AddressObject(env, address, length);
}

// (fd, peer): the next connection, or -errno. `peer` gets the family of its address and, of IPv4,
// the host and the port; acceptedAddress() returns any address whole.
napi_value Accept(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int listener = 0;
  Integers peer;
  if (!arguments.Int(0, &listener) || !arguments.Int32Array(1, &peer)) return nullptr;
  if (peer.length < 3) return arguments.Return(-EFAULT);
  auto* environment = arguments.Data<Environment>();
  // Where it fails, so does accepting.
  environment->descriptors.MakeNonBlocking(listener);
  for (;;) {
    environment->accepted_length = sizeof environment->accepted;
    const int fd = accept4(listener, reinterpret_cast<sockaddr*>(&environment->accepted),
                           &environment->accepted_length, kSocketFlags);
    if (fd >= 0) {
      const auto& in4 = reinterpret_cast<const sockaddr_in&>(environment->accepted);
      peer.data[0] = in4.sin_family;
      peer.data[1] = static_cast<int32_t>(ntohl(in4.sin_addr.s_addr));
      peer.data[2] = ntohs(in4.sin_port);
      return arguments.Return(environment->descriptors.Insert(fd));
    }
    if (errno != EINTR) return arguments.Return(-errno);
  }
}

napi_value AcceptedAddress(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const auto* environment = arguments.Data<Environment>();
  if (environment == nullptr) return nullptr;
  return AddressObject(env, environment->accepted, environment->accepted_length);
}

// (fd, level, option, bytes) -> how many bytes the kernel wrote, or -errno
napi_value GetOption(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  int level = 0;
  int option = 0;
  Bytes value;
  if (!arguments.Int(0, &fd) || !arguments.Int(1, &level) || !arguments.Int(2, &option) ||
      !arguments.ByteArray(3, &value)) {
    return nullptr;
  }
  auto length = static_cast<socklen_t>(value.length);
  const int status = getsockopt(fd, level, option, value.data, &length);
  return ReturnStatus(arguments, status < 0 ? -1 : static_cast<int>(length));
}

// (fd, level, option, bytes)
napi_value SetOption(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  int level = 0;
  int option = 0;
  Bytes value;
  if (!arguments.Int(0, &fd) || !arguments.Int(1, &level) || !arguments.Int(2, &option) ||
      !arguments.ByteArray(3, &value)) {
    return nullptr;
  }
  return ReturnStatus(
      arguments, setsockopt(fd, level, option, value.data, static_cast<socklen_t>(value.length)));
}

}  // namespace

void ExportSockets(ObjectBuilder* exports, Environment* environment) {
  exports->Function("socket", CreateSocket, environment);
  exports->Function("socketpair", SocketPair, environment);
  exports->Function("adopt", Adopt, environment);
  exports->Function("disown", Disown, environment);
  exports->Function("close", Close, environment);
  exports->Function("bind", WithAddress<bind, false>, nullptr);
  exports->Function("connect", WithAddress<connect, true>, environment);
  exports->Function("listen", WithInteger<listen>, nullptr);
  exports->Function("shutdown", WithInteger<shutdown>, nullptr);
  exports->Function("getsockname", NameOf<getsockname>, nullptr);
  exports->Function("getpeername", NameOf<getpeername>, nullptr);
  exports->Function("accept", Accept, environment);
  exports->Function("acceptedAddress", AcceptedAddress, environment);
  exports->Function("getsockopt", GetOption, nullptr);
  exports->Function("setsockopt", SetOption, nullptr);
}

}  // namespace asynchia
