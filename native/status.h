// The one way in which the status of Node-API and libuv is checked. After a failure the caller
// returns at once and touches no JavaScript value: an exception is pending, or the environment is
// going.
#ifndef ASYNCHIA_STATUS_H_
#define ASYNCHIA_STATUS_H_

#include <node_api.h>

namespace asynchia {

[[nodiscard]] inline bool Ok(napi_status status) { return status == napi_ok; }

// libuv: 0, or a negative errno.
[[nodiscard]] inline bool Ok(int status) { return status == 0; }

// For what has nothing to undo where it fails, or cannot fail as it is called.
inline void Ignore(napi_status /*status*/) {}
inline void Ignore(int /*status*/) {}

}  // namespace asynchia

#endif  // ASYNCHIA_STATUS_H_
