#include "object_builder.h"

#include "status.h"

namespace asynchia {
namespace {

void Release(napi_env /*env*/, void* data, void* /*hint*/) {
  auto* shared = static_cast<Shared*>(data);
  if (--shared->uses == 0) delete shared;
}

}  // namespace

ObjectBuilder::ObjectBuilder(napi_env env) : env_(env) {
  is_ok_ = Ok(napi_create_object(env, &object_));
}

void ObjectBuilder::Set(const char* name, napi_value value) {
  is_ok_ = is_ok_ && value != nullptr && Ok(napi_set_named_property(env_, object_, name, value));
}

void ObjectBuilder::Number(const char* name, uint32_t number) {
  napi_value value = nullptr;
  is_ok_ = is_ok_ && Ok(napi_create_uint32(env_, number, &value));
  Set(name, value);
}

void ObjectBuilder::Text(const char* name, const char* text, size_t length) {
  napi_value value = nullptr;
  is_ok_ = is_ok_ && Ok(napi_create_string_utf8(env_, text, length, &value));
  Set(name, value);
}

void ObjectBuilder::Function(const char* name, napi_callback function, void* data) {
  napi_value value = nullptr;
  is_ok_ = is_ok_ && Ok(napi_create_function(env_, name, NAPI_AUTO_LENGTH, function, data, &value));
  Set(name, value);
}

void ObjectBuilder::Functions(std::initializer_list<NamedFunction> functions, Shared* data) {
  // One use is this call's own: where no function could be made, it is the last.
  data->uses++;
  for (const NamedFunction& named : functions) Share(named, data);
  Release(env_, data, nullptr);
}

void ObjectBuilder::Share(const NamedFunction& named, Shared* data) {
  napi_value value = nullptr;
  is_ok_ =
      is_ok_ &&
      Ok(napi_create_function(env_, named.name, NAPI_AUTO_LENGTH, named.function, data, &value)) &&
      Ok(napi_add_finalizer(env_, value, data, Release, nullptr, nullptr));
  if (is_ok_) data->uses++;
  Set(named.name, value);
}

void ObjectBuilder::Freeze() { is_ok_ = is_ok_ && Ok(napi_object_freeze(env_, object_)); }

}  // namespace asynchia
