// Socket addresses as they cross the boundary: packed sockaddr bytes inwards, plain objects
// outwards.
#ifndef ASYNCHIA_ADDRESSES_H_
#define ASYNCHIA_ADDRESSES_H_

#include <node_api.h>
#include <sys/socket.h>

namespace asynchia {

// { host, port, family }, { path } or { family, bytes }.
napi_value AddressObject(napi_env env, const sockaddr_storage& address, socklen_t length);

napi_value PackedAddress(napi_env env, const sockaddr* address, socklen_t length);

}  // namespace asynchia

#endif  // ASYNCHIA_ADDRESSES_H_
