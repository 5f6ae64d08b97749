#include "addresses.h"

#include <arpa/inet.h>
#include <napi.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

#include "environment.h"
#include "status.h"

namespace asynchia {
namespace {

constexpr size_t kPathOffset = offsetof(sockaddr_un, sun_path);

std::string Host(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.ss_family == AF_INET) {
    const auto& in4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &in4.sin_addr, text, sizeof text);
    return text;
  }
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(address);
  inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof text);
  // A link-local address means nothing without its interface.
  return in6.sin6_scope_id == 0 ? text
                                : std::string(text) + "%" + std::to_string(in6.sin6_scope_id);
}

// The text of a Unix path; its bytes where they are not UTF-8, which a string would not keep.
napi_value Path(napi_env env, const char* path, size_t length) {
  napi_value value = nullptr;
  if (!Ok(napi_create_string_utf8(env, path, length, &value))) return nullptr;
  char again[sizeof(sockaddr_un::sun_path) + 1];
  size_t count = 0;
  if (!Ok(napi_get_value_string_utf8(env, value, again, sizeof again, &count))) return nullptr;
  if (count == length && std::equal(path, path + length, again)) return value;
  return Napi::Buffer<char>::Copy(env, path, length);
}

// (host, port, isName): packed, or undefined where the host is not a numeric address or, given that
// it is a name, could not be resolved (which blocks).
Napi::Value PackInet(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsString() || !info[1].IsNumber() || !info[2].IsBoolean()) {
    Napi::TypeError::New(env, "packInet: expected a host, a port and whether it is a name")
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const std::string host = info[0].As<Napi::String>().Utf8Value();
  const uint32_t port = info[1].As<Napi::Number>().Uint32Value();
  addrinfo hints{};
  hints.ai_flags = info[2].As<Napi::Boolean>().Value() ? AI_ADDRCONFIG : AI_NUMERICHOST;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  // getaddrinfo would stop at a NUL and take what stands before it.
  if (port > 65535 || host.find('\0') != std::string::npos ||
      getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) {
    return env.Undefined();
  }
  // sin_port and sin6_port lie at the same place.
  reinterpret_cast<sockaddr_in*>(found->ai_addr)->sin_port = htons(static_cast<uint16_t>(port));
  napi_value packed = PackedAddress(env, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return Napi::Value(env, packed);
}

// (path as bytes; a leading NUL makes it abstract): packed, or undefined where it is too long.
Napi::Value PackUnix(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsBuffer()) {
    Napi::TypeError::New(env, "packUnix: expected bytes").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const auto path = info[0].As<Napi::Buffer<char>>();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const bool is_abstract = path.Length() > 0 && path.Data()[0] == '\0';
  if (path.Length() == 0 || path.Length() > sizeof address.sun_path) return env.Undefined();
  // A path in the file system is terminated by a NUL where there is room for one (unix(7)), an
  // abstract name by its length.
  const bool is_terminated = !is_abstract && path.Length() < sizeof address.sun_path;
  const size_t length = path.Length() + (is_terminated ? 1 : 0);
  std::memcpy(address.sun_path, path.Data(), path.Length());
  return Napi::Value(env, PackedAddress(env, reinterpret_cast<sockaddr*>(&address),
                                        static_cast<socklen_t>(kPathOffset + length)));
}

// (packed): as an object.
Napi::Value UnpackAddress(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  sockaddr_storage address{};
  if (!info[0].IsBuffer() || info[0].As<Napi::Buffer<char>>().Length() > sizeof address) {
    Napi::TypeError::New(env, "unpackAddress: expected bytes").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const auto packed = info[0].As<Napi::Buffer<char>>();
  std::copy_n(packed.Data(), packed.Length(), reinterpret_cast<char*>(&address));
  return Napi::Value(env, AddressObject(env, address, static_cast<socklen_t>(packed.Length())));
}

}  // namespace

napi_value PackedAddress(napi_env env, const sockaddr* address, socklen_t length) {
  return Napi::Buffer<uint8_t>::Copy(env, reinterpret_cast<const uint8_t*>(address), length);
}

napi_value AddressObject(napi_env env, const sockaddr_storage& address, socklen_t length) {
  ObjectBuilder object(env);
  if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
    const std::string host = Host(address);
    object.Text("host", host.data(), host.size());
    object.Number("port", ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port));
    object.Text("family", address.ss_family == AF_INET ? "IPv4" : "IPv6", 4);
    return object.Done();
  }
  if (address.ss_family != AF_UNIX) {
    // Of no family that has a form here: its bytes, behind the family.
    constexpr size_t kFamilyBytes = sizeof(sa_family_t);
    const size_t count = std::min<size_t>(length, sizeof address);
    const size_t behind = count > kFamilyBytes ? count - kFamilyBytes : 0;
    const auto* bytes = reinterpret_cast<const uint8_t*>(&address) + kFamilyBytes;
    object.Number("family", address.ss_family);
    object.Set("bytes", Napi::Buffer<uint8_t>::Copy(env, bytes, behind));
    return object.Done();
  }
  const auto& local = reinterpret_cast<const sockaddr_un&>(address);
  // The kernel counts more than the structure where a path fills it without a terminator.
  const size_t whole = std::min<size_t>(length, sizeof local);
  size_t path_length = whole > kPathOffset ? whole - kPathOffset : 0;
  const char* path = local.sun_path;
  if (path_length > 0 && path[0] != '\0') path_length = strnlen(path, path_length);
  object.Set("path", Path(env, path, path_length));
  return object.Done();
}

void ExportAddresses(ObjectBuilder* exports) {
  const Napi::Env env(exports->env());
  exports->Set("packInet", Napi::Function::New(env, PackInet, "packInet"));
  exports->Set("packUnix", Napi::Function::New(env, PackUnix, "packUnix"));
  exports->Set("unpackAddress", Napi::Function::New(env, UnpackAddress, "unpackAddress"));
}

}  // namespace asynchia
