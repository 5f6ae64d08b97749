// The backends as JavaScript sees them: an object of functions, each bound to one backend.
//
// The functions carry the backend in their data pointer, not in `this`: there is nothing to unwrap,
// and no receiver that JavaScript could call them on makes a difference.
#include <cerrno>
#include <memory>
#include <string>

#include "arguments.h"
#include "backends/backend.h"
#include "environment.h"
#include "guest_loop.h"

namespace asynchia {
namespace {

struct Bound final : Shared {
  Bound(std::shared_ptr<Backend> of, Environment* environment)
      : backend(std::move(of)), environment(environment) {}

  std::shared_ptr<Backend> backend;  // null once closed
  Environment* environment;
};

Backend* Of(const Arguments& arguments) { return arguments.Data<Bound>()->backend.get(); }

// A running map is watched by others too.
int InterestChanged(const Arguments& arguments, int fd) {
  GuestLoop* loop = arguments.Data<Bound>()->environment->guest_loop.get();
  return loop == nullptr ? 0 : loop->InterestChanged(fd);
}

template <int (Backend::*Change)(int, int)>
napi_value ChangeMask(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  int mask = 0;
  if (!arguments.Int(0, &fd) || !arguments.Int(1, &mask)) return nullptr;
  Backend* backend = Of(arguments);
  if (backend == nullptr) return arguments.Return(-EBADF);
  // 0 is how a backend marks "not registered".
  if (mask <= 0 || mask > INT16_MAX) return arguments.Return(-EINVAL);
  int result = (backend->*Change)(fd, mask);
  if (result < 0) return arguments.Return(result);
  result = InterestChanged(arguments, fd);
  if (result < 0) Ignore(backend->Remove(fd));
  return arguments.Return(result);
}

napi_value Remove(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int fd = 0;
  if (!arguments.Int(0, &fd)) return nullptr;
  Backend* backend = Of(arguments);
  if (backend == nullptr) return arguments.Return(-EBADF);
  const int result = backend->Remove(fd);
  Ignore(InterestChanged(arguments, fd));
  return arguments.Return(result);
}

napi_value Wait(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  double timeout_ms = 0;
  Integers pairs;
  if (!arguments.Double(0, &timeout_ms) || !arguments.Int32Array(1, &pairs)) return nullptr;
  Backend* backend = Of(arguments);
  if (backend == nullptr) return arguments.Return(-EBADF);
  if (pairs.length < 2) return arguments.Return(-EINVAL);
  Ready ready{pairs.data, static_cast<int>(std::min<size_t>(pairs.length / 2, 1 << 20)), 0};
  const int result = backend->Wait(timeout_ms, &ready);
  return arguments.Return(result < 0 ? result : ready.count);
}

void Leave(Bound* bound) {
  GuestLoop* loop = bound->environment->guest_loop.get();
  if (loop != nullptr && bound->backend) loop->Stop(bound->backend.get());
}

napi_value Close(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* bound = arguments.Data<Bound>();
  Leave(bound);
  bound->backend.reset();
  return nullptr;
}

napi_value JoinLoop(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  auto* bound = arguments.Data<Bound>();
  napi_typedarray_type type = napi_int8_array;
  size_t length = 0;
  Integers ready;
  if (!arguments.Int32Array(0, &ready)) return nullptr;
  if (!Ok(napi_get_typedarray_info(env, arguments[1], &type, &length, nullptr, nullptr, nullptr)) ||
      type != napi_float64_array || length < kControlFields || ready.length < 2) {
    arguments.Expected("room for a pair, and a Float64Array for the control fields");
    return nullptr;
  }
  if (!arguments.Function(2) || !arguments.Function(3)) return nullptr;
  if (!bound->backend) return arguments.Return(-EBADF);
  std::unique_ptr<GuestLoop>& loop = bound->environment->guest_loop;
  const int result = GuestLoop::Of(env, &loop);
  if (result < 0) return arguments.Return(result);
  return arguments.Return(
      loop->Start(bound->backend, {arguments[0], arguments[1], arguments[2], arguments[3]}));
}

napi_value LeaveLoop(napi_env env, napi_callback_info info) {
  Leave(Arguments(env, info).Data<Bound>());
  return nullptr;
}

// (name) -> the backend, or a negative errno where the kernel gives none.
napi_value CreateBackend(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  char name[8] = {};
  size_t length = 0;
  if (!Ok(napi_get_value_string_utf8(env, arguments[0], name, sizeof name, &length))) {
    arguments.Expected("the name of a backend");
    return nullptr;
  }
  const std::string wanted(name, length);
  errno = EINVAL;
  std::shared_ptr<Backend> backend;
  if (wanted == "select") backend = WithChanges(MakeSelectBackend());
  if (wanted == "poll") backend = WithChanges(MakePollBackend());
  if (wanted == "epoll") backend = WithChanges(MakeEpollBackend());
  if (!backend) return arguments.Return(-errno);

  auto* bound = new Bound(std::move(backend), arguments.Data<Environment>());
  ObjectBuilder object(env);
  object.Set("name", arguments[0]);
  object.Functions({{"add", ChangeMask<&Backend::Add>},
                    {"modify", ChangeMask<&Backend::Modify>},
                    {"remove", Remove},
                    {"wait", Wait},
                    {"close", Close},
                    {"joinLoop", JoinLoop},
                    {"leaveLoop", LeaveLoop}},
                   bound);
  return object.Done();
}

}  // namespace

void ExportBackends(ObjectBuilder* exports, Environment* environment) {
  exports->Function("createBackend", CreateBackend, environment);
  ObjectBuilder layout(exports->env());
  layout.Number("turnAtMs", kTurnAtMs);
  layout.Number("hasChanges", kHasChanges);
  layout.Number("fields", kControlFields);
  exports->Set("controlLayout", layout.Done());
}

}  // namespace asynchia
