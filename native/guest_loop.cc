#include "guest_loop.h"

#include <algorithm>
#include <cerrno>
#include <cmath>

namespace asynchia {

struct GuestLoop::Guest {
  Guest(napi_env env, std::shared_ptr<Backend> of, const Callbacks& callbacks)
      : env(env), backend(std::move(of)) {
    size_t length = 0;
    void* data = nullptr;
    napi_get_typedarray_info(env, callbacks.ready, nullptr, &length, &data, nullptr, nullptr);
    ready.pairs = static_cast<int32_t*>(data);
    ready.capacity = static_cast<int>(length / 2);
    napi_get_typedarray_info(env, callbacks.control, nullptr, nullptr, &data, nullptr, nullptr);
    control = static_cast<double*>(data);
    napi_create_reference(env, callbacks.ready, 1, &ready_reference);
    napi_create_reference(env, callbacks.control, 1, &control_reference);
    napi_create_reference(env, callbacks.prepare, 1, &prepare);
    napi_create_reference(env, callbacks.dispatch, 1, &dispatch);
    napi_value name = nullptr;
    napi_create_string_utf8(env, "asynchia.SocketMap", NAPI_AUTO_LENGTH, &name);
    napi_async_init(env, nullptr, name, &async_context);
  }

  ~Guest() {
    napi_async_destroy(env, async_context);
    for (napi_ref reference : {ready_reference, control_reference, prepare, dispatch}) {
      napi_delete_reference(env, reference);
    }
  }

  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

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

GuestLoop* GuestLoop::Of(napi_env env, GuestLoop** place) {
  if (*place == nullptr) {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(env, &loop) != napi_ok) {
      napi_throw_error(env, nullptr, "this environment has no event loop");
      return nullptr;
    }
    *place = new GuestLoop(env, loop, place);
  }
  return *place;
}

GuestLoop::GuestLoop(napi_env env, uv_loop_t* loop, GuestLoop** place)
    : env_(env), loop_(loop), place_(place) {
  uv_check_init(loop, &check_);
  uv_idle_init(loop, &idle_);
  check_.data = this;
  idle_.data = this;
  // A worker that is terminated, and the process at its end, must not find the handles open.
  napi_add_async_cleanup_hook(
      env,
      [](napi_async_cleanup_hook_handle hook, void* self) {
        static_cast<GuestLoop*>(self)->Close(hook);
      },
      this, &hook_);
}

GuestLoop::~GuestLoop() { *place_ = nullptr; }

void GuestLoop::Close(napi_async_cleanup_hook_handle hook) {
  hook_ = hook;
  guests_.clear();
  const auto closed = [](uv_handle_t* handle) {
    auto* self = static_cast<GuestLoop*>(handle->data);
    if (--self->open_handles_ > 0) return;
    napi_async_cleanup_hook_handle done = self->hook_;
    delete self;
    napi_remove_async_cleanup_hook(done);
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&check_), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&idle_), closed);
}

int GuestLoop::Start(std::shared_ptr<Backend> backend, const Callbacks& callbacks) {
  const int result = backend->Add(uv_backend_fd(loop_), POLLIN);
  if (result < 0) return result;
  guests_.push_back(std::make_unique<Guest>(env_, std::move(backend), callbacks));
  uv_check_start(&check_, [](uv_check_t* check) { static_cast<GuestLoop*>(check->data)->Pass(); });
  // The loop must come around to the check without blocking before it.
  uv_idle_start(&idle_, [](uv_idle_t*) {});
  return 0;
}

// Only marks the guest: this may be called from its own dispatch.
void GuestLoop::Stop(const Backend* backend) {
  for (const auto& guest : guests_) {
    if (guest->backend.get() != backend || guest->is_stopped) continue;
    guest->is_stopped = true;
    guest->backend->Remove(uv_backend_fd(loop_));
  }
}

void GuestLoop::Sweep() {
  guests_.erase(std::remove_if(guests_.begin(), guests_.end(),
                               [](const auto& guest) { return guest->is_stopped; }),
                guests_.end());
}

void GuestLoop::Pass() {
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return;
  uv_idle_stop(&idle_);
  int turns = 0;
  Sweep();
  while (!guests_.empty() && turns < kTurnsPerPass && Turn()) {
    turns++;
    Sweep();
  }
  Sweep();
  if (guests_.empty()) {
    uv_check_stop(&check_);
    // One that was started and stopped in this very pass has started it anew.
    uv_idle_stop(&idle_);
  } else {
    uv_idle_start(&idle_, [](uv_idle_t*) {});
  }
  napi_close_handle_scope(env_, scope);
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

  // A callback may start another map, but guests are only removed by Sweep.
  const size_t count = guests_.size();
  bool libuv_is_ready = false;
  int failure = 0;
  if (count > 1) {
    failure = WaitForAll(timeout_ms, &libuv_is_ready);
    timeout_ms = 0;
  }
  for (size_t i = 0; i < count; i++) {
    Guest* guest = guests_[i].get();
    if (guest->is_stopped) continue;
    // Each looks for itself just before it is dispatched: what another map's callback has closed
    // meanwhile is no event any more.
    const int result = failure < 0 ? failure : WaitForOne(guest, timeout_ms, &libuv_is_ready);
    const int argument = result < 0 ? result : guest->ready.count;
    if (argument == 0 && !guest->IsDue()) continue;
    if (!Call(guest, guest->dispatch, argument)) return false;
  }
  return !libuv_is_ready && bound_ms != 0;
}

bool GuestLoop::Prepare() {
  const size_t count = guests_.size();
  for (size_t i = 0; i < count; i++) {
    Guest* guest = guests_[i].get();
    if (guest->is_stopped || guest->control[kHasChanges] == 0) continue;
    if (!Call(guest, guest->prepare, 0)) return false;
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
  if (napi_open_handle_scope(env_, &scope) != napi_ok) return false;
  napi_value callback = nullptr;
  napi_value receiver = nullptr;
  napi_value value = nullptr;
  napi_get_reference_value(env_, function, &callback);
  napi_get_global(env_, &receiver);
  napi_create_int32(env_, argument, &value);
  const napi_status status =
      napi_make_callback(env_, guest->async_context, receiver, callback, 1, &value, nullptr);
  bool is_callable = status == napi_ok;
  if (status == napi_pending_exception) {
    // Not the map's: it settles its promise. This came out of a nextTick or a microtask, and is
    // uncaught there as it is in any other of Node's callbacks.
    napi_value error = nullptr;
    if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) {
      is_callable = napi_fatal_exception(env_, error) == napi_ok;
    }
  }
  napi_close_handle_scope(env_, scope);
  return is_callable;
}

}  // namespace asynchia
