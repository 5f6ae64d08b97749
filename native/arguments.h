// Reading the arguments of a call from JavaScript: integers and bytes, checked, without allocation.
//
// Every reader returns false after it has thrown a TypeError, so that a native function can say
// `if (!a.Int(0, &fd)) return nullptr;` and no JavaScript value of any kind gets past it.
#ifndef ASYNCHIA_ARGUMENTS_H_
#define ASYNCHIA_ARGUMENTS_H_

#include <node_api.h>

#include <cstddef>
#include <cstdint>

#include "status.h"

namespace asynchia {

struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;

  bool Holds(int64_t offset, int64_t count) const {
    return offset >= 0 && count >= 0 && offset + count <= static_cast<int64_t>(length);
  }
};

struct Integers {
  int32_t* data = nullptr;
  size_t length = 0;
};

class Arguments {
 public:
  static constexpr size_t kMost = 6;

  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMost;
    // Without the call's info the arguments stay undefined, which every reader refuses.
    if (!Ok(napi_get_cb_info(env, info, &count, values_, nullptr, &data_))) data_ = nullptr;
  }

  napi_env env() const { return env_; }
  napi_value operator[](size_t index) const { return values_[index]; }

  // The pointer that the function was created with.
  template <typename T>
  T* Data() const {
    return static_cast<T*>(data_);
  }

  // A whole number of 32 bits. napi_get_value_int32 would turn NaN into 0 and wrap what is too
  // large, and so give the kernel a descriptor that the caller did not name.
  bool Int(size_t index, int32_t* out) const {
    double number = 0;
    if (Ok(napi_get_value_double(env_, values_[index], &number)) && number >= INT32_MIN &&
        number <= INT32_MAX) {
      *out = static_cast<int32_t>(number);
      if (*out == number) return true;
    }
    return Expected("a 32-bit integer");
  }

  // Any number but NaN.
  bool Double(size_t index, double* out) const {
    if (Ok(napi_get_value_double(env_, values_[index], out)) && *out == *out) return true;
    return Expected("a number");
  }

  bool ByteArray(size_t index, Bytes* out) const {
    napi_typedarray_type type = napi_int8_array;
    void* data = nullptr;
    if (Ok(napi_get_typedarray_info(env_, values_[index], &type, &out->length, &data, nullptr,
                                    nullptr)) &&
        type == napi_uint8_array) {
      out->data = static_cast<uint8_t*>(data);
      return true;
    }
    return Expected("a Uint8Array");
  }

  bool Int32Array(size_t index, Integers* out) const {
    napi_typedarray_type type = napi_int8_array;
    void* data = nullptr;
    if (Ok(napi_get_typedarray_info(env_, values_[index], &type, &out->length, &data, nullptr,
                                    nullptr)) &&
        type == napi_int32_array) {
      out->data = static_cast<int32_t*>(data);
      return true;
    }
    return Expected("an Int32Array");
  }

  bool Function(size_t index) const {
    napi_valuetype type = napi_undefined;
    if (Ok(napi_typeof(env_, values_[index], &type)) && type == napi_function) return true;
    return Expected("a function");
  }

  bool Expected(const char* what) const {
    Throw(what);
    return false;
  }

  napi_value Return(int32_t result) const {
    napi_value value = nullptr;
    return Ok(napi_create_int32(env_, result, &value)) ? value : nullptr;
  }

 private:
  void Throw(const char* what) const;

  napi_env env_;
  napi_value values_[kMost] = {};
  void* data_ = nullptr;
};

}  // namespace asynchia

#endif  // ASYNCHIA_ARGUMENTS_H_
