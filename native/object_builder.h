// Builds JavaScript objects: the module's exports, backends, addresses.
#ifndef ASYNCHIA_OBJECT_BUILDER_H_
#define ASYNCHIA_OBJECT_BUILDER_H_

#include <node_api.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace asynchia {

// What several functions have in common. It is deleted with the last of them.
struct Shared {
  Shared() = default;
  virtual ~Shared() = default;
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;

  int uses = 0;
};

struct NamedFunction {
  const char* name;
  napi_callback function;
};

// After the first failure nothing more is done, and Done returns null.
class ObjectBuilder {
 public:
  // Of a new object, or of one that is there.
  explicit ObjectBuilder(napi_env env);
  ObjectBuilder(napi_env env, napi_value object) : env_(env), object_(object) {}

  napi_env env() const { return env_; }

  void Set(const char* name, napi_value value);
  void Number(const char* name, uint32_t number);
  void Text(const char* name, const char* text, size_t length);
  // `data` must outlive the function.
  void Function(const char* name, napi_callback function, void* data);
  // Takes `data` over.
  void Functions(std::initializer_list<NamedFunction> functions, Shared* data);
  void Freeze();

  napi_value Done() const { return is_ok_ ? object_ : nullptr; }

 private:
  void Share(const NamedFunction& named, Shared* data);

  napi_env env_;
  napi_value object_ = nullptr;
  bool is_ok_ = true;
};

}  // namespace asynchia

#endif  // ASYNCHIA_OBJECT_BUILDER_H_
