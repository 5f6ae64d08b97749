#include "arguments.h"

#include <string>

namespace asynchia {

void Arguments::Throw(const char* what) const {
  const std::string message = std::string("native call: expected ") + what;
  napi_throw_type_error(env_, "ERR_INVALID_ARG_TYPE", message.c_str());
}

napi_value Export(napi_env env, napi_value object, const char* name, napi_callback function,
                  void* data) {
  napi_value value = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, data, &value);
  napi_set_named_property(env, object, name, value);
  return value;
}

void ExportShared(napi_env env, napi_value object, const char* name, napi_callback function,
                  Shared* data) {
  const napi_value value = Export(env, object, name, function, data);
  data->functions++;
  const auto release = [](napi_env, void* released, void*) {
    auto* shared = static_cast<Shared*>(released);
    if (--shared->functions == 0) delete shared;
  };
  napi_add_finalizer(env, value, data, release, nullptr, nullptr);
}

}  // namespace asynchia
