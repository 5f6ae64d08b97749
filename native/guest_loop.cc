#include "guest_loop.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <iterator>

#include "status.h"

namespace asynchia {

struct GuestLoop::Guest {
  explicit Guest(napi_env env) : env(env) {}

  ~Guest() {
    if (async_context != nullptr) Ignore(napi_async_destroy(env, async_context));
    for (napi_ref reference : {ready_reference, control_reference, prepare, dispatch}) {
      if (reference != nullptr) Ignore(napi_delete_reference(env, reference));
    }
  }

  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  // Null, with an exception pending, where a call of Node-API fails.
  static std::unique_ptr<Guest> Make(napi_env env, const Callbacks& callbacks) {
    auto guest = std::make_unique<Guest>(env);
    size_t length = 0;
    void* pairs = nullptr;
    void* control = nullptr;
    napi_value name = nullptr;
    if (!Ok(napi_get_typedarray_info(env, callbacks.ready, nullptr, &length, &pairs, nullptr,
                                     nullptr)) ||
        !Ok(napi_get_typedarray_info(env, callbacks.control, nullptr, nullptr, &control, nullptr,
                                     nullptr)) ||
        !Ok(napi_create_reference(env, callbacks.ready, 1, &guest->ready_reference)) ||
        !Ok(napi_create_reference(env, callbacks.control, 1, &guest->control_reference)) ||
        !Ok(napi_create_reference(env, callbacks.prepare, 1, &guest->prepare)) ||
        !Ok(napi_create_reference(env, callbacks.dispatch, 1, &guest->dispatch)) ||
        !Ok(napi_create_string_utf8(env, "asynchia.SocketMap", NAPI_AUTO_LENGTH, &name)) ||
        !Ok(napi_async_init(env, nullptr, name, &guest->async_context))) {
      return nullptr;
    }
    guest->ready.pairs = static_cast<int32_t*>(pairs);
    guest->ready.capacity = static_cast<int>(length / 2);
    guest->control = static_cast<double*>(control);
    return guest;
  }

  bool IsDue() const { return control[kTurnAtMs] <= MonotonicMs(); }

  napi_env env;
  std::shared_ptr<Backend> backend;
  Ready ready;
  double* control = nullptr;
  bool is_stopped = false;
  napi_ref ready_reference = nullptr;
  napi_ref control_reference = nullptr;
  napi_ref prepare = nullptr;
  napi_ref dispatch = nullptr;
  napi_async_context async_context = nullptr;
};

GuestLoop::GuestLoop(napi_env env, uv_loop_t* loop) : env_(env), loop_(loop) {}

GuestLoop::~GuestLoop() = default;

GuestLoop* GuestLoop::Of(napi_env env, std::unique_ptr<GuestLoop>* place) {
  if (*place != nullptr) return place->get();
  uv_loop_t* loop = nullptr;
  if (Ok(napi_get_uv_event_loop(env, &loop))) {
    std::unique_ptr<GuestLoop> made(new GuestLoop(env, loop));
    if (made->Open()) {
      *place = std::move(made);
      return place->get();
    }
  }
  Ignore(napi_throw_error(env, nullptr, "this environment has no event loop"));
  return nullptr;
}

// The hook first: libuv's loop must not keep handles of an environment that goes (a worker that is
// terminated, the process at its end), so without a hook there are no handles.
bool GuestLoop::Open() {
  const auto close = [](napi_async_cleanup_hook_handle hook, void* self) {
    static_cast<GuestLoop*>(self)->Close(hook);
  };
  if (!Ok(napi_add_async_cleanup_hook(env_, close, this, &hook_))) return false;
  // Neither can fail, but both are checked like every other call. uv_check_init, uv_idle_init
  if (!Ok(uv_check_init(loop_, &check_)) || !Ok(uv_idle_init(loop_, &idle_))) return false;
  check_.data = this;
  idle_.data = this;
  return true;
}

void GuestLoop::Close(napi_async_cleanup_hook_handle hook) {
  hook_ = hook;
  guests_.clear();
  started_.clear();
  const auto closed = [](uv_handle_t* handle) {
    auto* self = static_cast<GuestLoop*>(handle->data);
    if (--self->open_handles_ > 0) return;
    // From here on the environment may be released, and this with it.
    Ignore(napi_remove_async_cleanup_hook(self->hook_));
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&check_), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&idle_), closed);
}

int GuestLoop::Start(std::shared_ptr<Backend> backend, const Callbacks& callbacks) {
  std::unique_ptr<Guest> guest = Guest::Make(env_, callbacks);
  if (guest == nullptr) return -ECANCELED;
  const int result = backend->Add(uv_backend_fd(loop_), POLLIN);
  if (result < 0) return result;
  guest->backend = std::move(backend);
  started_.push_back(std::move(guest));
  const auto pass = [](uv_check_t* check) { static_cast<GuestLoop*>(check->data)->Pass(); };
  Ignore(uv_check_start(&check_, pass));
  KeepAwake();
  return 0;
}

// Only marks the guest: this may be called from its own dispatch.
void GuestLoop::Stop(const Backend* backend) {
  for (const auto* guests : {&guests_, &started_}) {
    for (const auto& guest : *guests) {
      if (guest->backend.get() != backend || guest->is_stopped) continue;
      guest->is_stopped = true;
      guest->backend->Remove(uv_backend_fd(loop_));
    }
  }
}

void GuestLoop::Sweep() {
  std::move(started_.begin(), started_.end(), std::back_inserter(guests_));
  started_.clear();
  guests_.erase(std::remove_if(guests_.begin(), guests_.end(),
                               [](const auto& guest) { return guest->is_stopped; }),
                guests_.end());
}

// An active idle handle has libuv come around to the check without blocking before it.
void GuestLoop::KeepAwake() {
  Ignore(uv_idle_start(&idle_, [](uv_idle_t*) {}));
}

void GuestLoop::Pass() {
  napi_handle_scope scope = nullptr;
  if (!Ok(napi_open_handle_scope(env_, &scope))) return;
  Ignore(uv_idle_stop(&idle_));
  int turns = 0;
  Sweep();
  while (!guests_.empty() && turns < kTurnsPerPass && Turn()) {
    turns++;
    Sweep();
  }
  Sweep();
  if (guests_.empty()) {
    Ignore(uv_check_stop(&check_));
    // A guest that was started and stopped in this very pass has started it again.
    Ignore(uv_idle_stop(&idle_));
  } else {
    KeepAwake();
  }
  Ignore(napi_close_handle_scope(env_, scope));
}

// One wait and what came of it. False: libuv is to have its pass.
bool GuestLoop::Turn() {
  if (!Prepare()) return false;
  // The time-out is reckoned from libuv's cached clock. It is 0 while libuv has registrations that
  // its descriptor does not know of yet, so none is missed.
  uv_update_time(loop_);
  const int bound_ms = uv_backend_timeout(loop_);
  double timeout_ms = bound_ms < 0 ? HUGE_VAL : bound_ms;
  for (const auto& guest : guests_) {
    if (guest->is_stopped) return true;
    // A promise that ran behind `prepare` may have changed something again.
    const double turn_at = guest->control[kHasChanges] != 0 ? 0 : guest->control[kTurnAtMs];
    if (turn_at < HUGE_VAL) {
      timeout_ms = std::min(timeout_ms, std::max(0.0, turn_at <= 0 ? 0 : turn_at - MonotonicMs()));
    }
  }

  bool libuv_is_ready = false;
  int failure = 0;
  if (guests_.size() > 1) {
    failure = WaitForAll(timeout_ms, &libuv_is_ready);
    timeout_ms = 0;
  }
  for (const auto& guest : guests_) {
    if (guest->is_stopped) continue;
    // Each waits for itself just before it is dispatched: what another map's callback has closed
    // meanwhile is no event any more.
    const int result = failure < 0 ? failure : WaitForOne(guest.get(), timeout_ms, &libuv_is_ready);
    const int argument = result < 0 ? result : guest->ready.count;
    if (argument == 0 && !guest->IsDue()) continue;
    if (!Call(guest.get(), guest->dispatch, argument)) return false;
  }
  return !libuv_is_ready && bound_ms != 0;
}

bool GuestLoop::Prepare() {
  for (const auto& guest : guests_) {
    if (guest->is_stopped || guest->control[kHasChanges] == 0) continue;
    if (!Call(guest.get(), guest->prepare, 0)) return false;
  }
  return true;
}

int GuestLoop::WaitForOne(Guest* guest, double timeout_ms, bool* libuv_is_ready) {
  Ready& ready = guest->ready;
  ready.count = 0;
  const int result = guest->backend->Wait(timeout_ms, &ready);
  const int libuv_fd = uv_backend_fd(loop_);
  for (int i = 0; i < ready.count; i++) {
    if (ready.pairs[2 * i] != libuv_fd) continue;
    *libuv_is_ready = true;
    ready.count--;
    ready.pairs[2 * i] = ready.pairs[2 * ready.count];
    ready.pairs[2 * i + 1] = ready.pairs[2 * ready.count + 1];
    break;
  }
  return result;
}

// Several maps: one poll(2) waits for all that they wait for. (No epoll instance may contain
// another map's, and the other two mechanisms have none.)
int GuestLoop::WaitForAll(double timeout_ms, bool* libuv_is_ready) {
  watched_.assign(1, {uv_backend_fd(loop_), POLLIN, 0});
  for (const auto& guest : guests_) {
    if (guest->is_stopped) continue;
    if (!guest->backend->Watch(&watched_)) timeout_ms = 0;
  }
  const int result = PollUntil(watched_.data(), watched_.size(), Deadline(timeout_ms));
  *libuv_is_ready = result > 0 && watched_[0].revents != 0;
  return result;
}

// One callback scope a call, so that promises and process.nextTick run between batches.
// False: JavaScript can no longer be called, or wants to be left alone.
bool GuestLoop::Call(Guest* guest, napi_ref function, int argument) {
  napi_handle_scope scope = nullptr;
  if (!Ok(napi_open_handle_scope(env_, &scope))) return false;
  napi_value callback = nullptr;
  napi_value receiver = nullptr;
  napi_value value = nullptr;
  const bool is_ready = Ok(napi_get_reference_value(env_, function, &callback)) &&
                        Ok(napi_get_global(env_, &receiver)) &&
                        Ok(napi_create_int32(env_, argument, &value));
  const napi_status status = is_ready ? napi_make_callback(env_, guest->async_context, receiver,
                                                           callback, 1, &value, nullptr)
                                      : napi_generic_failure;
  bool is_callable = Ok(status);
  if (status == napi_pending_exception) {
    // Not the map's: it settles its promise. This came out of a nextTick or a microtask, and is
    // uncaught there as it is in any other of Node's callbacks.
    napi_value error = nullptr;
    if (Ok(napi_get_and_clear_last_exception(env_, &error))) {
      is_callable = Ok(napi_fatal_exception(env_, error));
    }
  }
  Ignore(napi_close_handle_scope(env_, scope));
  return is_callable;
}

}  // namespace asynchia
