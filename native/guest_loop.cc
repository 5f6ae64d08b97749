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

int GuestLoop::Of(napi_env env, std::unique_ptr<GuestLoop>* place) {
  if (*place != nullptr) return 0;
  uv_loop_t* loop = nullptr;
  if (!Ok(napi_get_uv_event_loop(env, &loop))) return -ENOSYS;
  std::unique_ptr<GuestLoop> made(new GuestLoop(env, loop));
  const int result = made->Open();
  if (result == 0) *place = std::move(made);
  return result;
}

int GuestLoop::Open() {
  sleeper_ = MakeEpollBackend();
  if (sleeper_ == nullptr) return -errno;
  std::vector<pollfd> watched;
  sleeper_->Watch(&watched);
  // The hook before the handles: libuv's loop must not keep handles of an environment that goes (a
  // worker that is terminated, the process at its end).
  const auto close = [](napi_async_cleanup_hook_handle hook, void* self) {
    static_cast<GuestLoop*>(self)->Close(hook);
  };
  if (!Ok(napi_add_async_cleanup_hook(env_, close, this, &hook_))) return -ENOSYS;
  const int result = uv_poll_init(loop_, &poll_, watched[0].fd);
  if (!Ok(result)) {
    Ignore(napi_remove_async_cleanup_hook(hook_));
    return result;
  }
  // These cannot fail.
  Ignore(uv_prepare_init(loop_, &prepare_));
  Ignore(uv_check_init(loop_, &check_));
  Ignore(uv_idle_init(loop_, &idle_));
  Ignore(uv_timer_init(loop_, &timer_));
  prepare_.data = check_.data = idle_.data = timer_.data = poll_.data = this;
  // From now on, also while no map runs: libuv aborts where it cannot register a descriptor, and
  // whoever closes the wrong number by mistake may have closed this one.
  WatchSleeper();
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
  return 0;
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
  uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&check_), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&idle_), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), closed);
}

int GuestLoop::Start(std::shared_ptr<Backend> backend, const Callbacks& callbacks) {
  std::unique_ptr<Guest> guest = Guest::Make(env_, callbacks);
  if (guest == nullptr) return -ECANCELED;
  std::vector<pollfd> watched;
  backend->Watch(&watched);
  guest->backend = std::move(backend);
  started_.push_back(std::move(guest));
  for (const pollfd& entry : watched) {
    const int result = InterestChanged(entry.fd);
    if (result >= 0) continue;
    Stop(started_.back()->backend.get());
    started_.pop_back();
    return result;
  }
  Ignore(uv_prepare_start(&prepare_, [](uv_prepare_t* handle) {
    static_cast<GuestLoop*>(handle->data)->BeforeWait();
  }));
  Ignore(uv_check_start(
      &check_, [](uv_check_t* handle) { static_cast<GuestLoop*>(handle->data)->AfterWait(); }));
  WatchSleeper();
  return 0;
}

// Only marks the guest: this may be called from its own dispatch.
void GuestLoop::Stop(const Backend* backend) {
  for (const auto* guests : {&guests_, &started_}) {
    for (const auto& guest : *guests) {
      if (guest->backend.get() != backend || guest->is_stopped) continue;
      guest->is_stopped = true;
      std::vector<pollfd> watched;
      guest->backend->Watch(&watched);
      for (const pollfd& entry : watched) Ignore(InterestChanged(entry.fd));
    }
  }
}

int GuestLoop::InterestChanged(int fd) {
  int wanted = 0;
  for (const auto* guests : {&guests_, &started_}) {
    for (const auto& guest : *guests) {
      if (!guest->is_stopped) wanted |= guest->backend->WatchMask(fd);
    }
  }
  const int watched = watched_.Get(fd);
  if (wanted == watched) return 0;
  int result = -ENOENT;
  if (watched != 0 && wanted != 0) result = sleeper_->Modify(fd, wanted);
  if (result < 0) {
    // Also where others have closed the descriptor, and its number is a new one's.
    if (watched != 0) Ignore(sleeper_->Remove(fd));
    result = wanted == 0 ? 0 : sleeper_->Add(fd, wanted);
  }
  watched_.Set(fd, result < 0 ? 0 : wanted);
  return result;
}

void GuestLoop::Sweep() {
  std::move(started_.begin(), started_.end(), std::back_inserter(guests_));
  started_.clear();
  guests_.erase(std::remove_if(guests_.begin(), guests_.end(),
                               [](const auto& guest) { return guest->is_stopped; }),
                guests_.end());
}

// Runs `act`, which calls JavaScript, unless it runs already: a callback may turn libuv's loop.
template <typename Act>
void GuestLoop::Exclusively(Act act) {
  if (is_busy_) return;
  napi_handle_scope scope = nullptr;
  if (!Ok(napi_open_handle_scope(env_, &scope))) return;
  is_busy_ = true;
  // An active idle handle would keep a nested loop from blocking.
  Ignore(uv_idle_stop(&idle_));
  Sweep();
  const bool is_callable = act();
  Sweep();
  is_busy_ = false;
  Ignore(napi_close_handle_scope(env_, scope));
  is_parked_ = !is_callable;
  if (guests_.empty()) {
    Ignore(uv_prepare_stop(&prepare_));
    Ignore(uv_check_stop(&check_));
    Ignore(uv_timer_stop(&timer_));
    timer_at_ms_ = 0;
  }
  WatchSleeper();
}

// Before libuv waits: brings the maps up to date, and bounds the wait by their next turns.
void GuestLoop::BeforeWait() {
  Exclusively([this] {
    is_woken_ = false;
    return Prepare();
  });
  if (!is_busy_) Arm();
}

// After libuv has waited: dispatches until nothing is left, or it is Node's turn.
void GuestLoop::AfterWait() {
  if (is_parked_) return;
  Exclusively([this] {
    int events = 0;
    for (int turns = 1;; turns++) {
      if (!Prepare()) return false;
      const int count = Turn();
      if (count < 0) return false;
      events += count;
      if (count == 0 && turns == 2) single_turns_ = kSingleTurns;
      if (count == 0 || events >= kEventsPerPass) break;
      if (turns == 1 && single_turns_ > 0) {
        single_turns_--;
        break;
      }
      Sweep();
      // The time-out is reckoned from libuv's cached clock. It is 0 while libuv has registrations
      // that its descriptor does not know of yet.
      uv_update_time(loop_);
      if (uv_backend_timeout(loop_) == 0) break;
    }
    CheckSleeper(events > 0);
    return true;
  });
}

// Dispatches once what is ready in each map. Returns how much, or -1 where JavaScript cannot be
// called.
int GuestLoop::Turn() {
  int events = 0;
  for (const auto& guest : guests_) {
    if (guest->is_stopped) continue;
    // Each is asked just before it is dispatched: what another map's callback has closed meanwhile
    // is no event any more.
    Ready& ready = guest->ready;
    ready.count = 0;
    const int result = guest->backend->Wait(0, &ready);
    if (result == Backend::kWatchAnew) WatchAnew(*guest->backend);
    const int argument = result < 0 ? result : ready.count;
    if (argument == 0 && !guest->IsDue()) continue;
    events += std::max(argument, 1);
    if (!Call(guest.get(), guest->dispatch, argument)) return -1;
  }
  return events;
}

bool GuestLoop::Prepare() {
  for (const auto& guest : guests_) {
    // Where JavaScript could not be called last time, this finds out whether it can now.
    if (guest->is_stopped || (guest->control[kHasChanges] == 0 && !is_parked_)) continue;
    if (!Call(guest.get(), guest->prepare, 0)) return false;
  }
  return true;
}

// Bounds libuv's wait.
void GuestLoop::Arm() {
  if (is_parked_ || guests_.empty()) return;
  double turn_at_ms = HUGE_VAL;
  bool is_now = sleeper_->IsReadyNow();
  for (const auto& guest : guests_) {
    // A promise that ran behind `prepare` may have changed something again.
    turn_at_ms =
        std::min(turn_at_ms, guest->control[kHasChanges] != 0 ? 0 : guest->control[kTurnAtMs]);
    is_now = is_now || guest->backend->IsReadyNow();
  }
  if (is_now || turn_at_ms <= 0 || (turn_at_ms < HUGE_VAL && turn_at_ms <= MonotonicMs())) {
    Ignore(uv_idle_start(&idle_, [](uv_idle_t*) {}));
    return;
  }
  // libuv's clock has whole milliseconds.
  const double at_ms = turn_at_ms < HUGE_VAL ? std::ceil(turn_at_ms) : 0;
  if (at_ms == timer_at_ms_) return;
  timer_at_ms_ = at_ms;
  if (at_ms == 0) {
    Ignore(uv_timer_stop(&timer_));
    return;
  }
  uv_update_time(loop_);
  const double left_ms = std::max(0.0, at_ms - static_cast<double>(uv_now(loop_)));
  const auto fired = [](uv_timer_t* handle) {
    static_cast<GuestLoop*>(handle->data)->timer_at_ms_ = 0;
  };
  Ignore(uv_timer_start(&timer_, fired, static_cast<uint64_t>(left_ms), 0));
}

void GuestLoop::WatchAnew(const Backend& backend) {
  std::vector<pollfd> watched;
  backend.Watch(&watched);
  for (const pollfd& entry : watched) {
    Ignore(sleeper_->Remove(entry.fd));
    watched_.Set(entry.fd, 0);
    Ignore(InterestChanged(entry.fd));
  }
}

void GuestLoop::WatchSleeper() {
  if (is_parked_) {
    Ignore(uv_poll_stop(&poll_));
    return;
  }
  if (uv_is_active(reinterpret_cast<uv_handle_t*>(&poll_))) return;
  Ignore(uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* handle, int, int) {
    auto* self = static_cast<GuestLoop*>(handle->data);
    self->is_woken_ = true;
    // A nested loop would be woken again and again.
    if (self->is_busy_) Ignore(uv_poll_stop(handle));
  }));
}

// The sleeper is ready, and no map has an event: a select map passes over a descriptor of which it
// wants the end alone, until it is asked to look at it afresh.
void GuestLoop::CheckSleeper(bool has_dispatched) {
  if (has_dispatched || !is_woken_) return;
  int32_t pairs[2 * kBatch];
  Ready ready{pairs, kBatch, 0};
  if (sleeper_->Wait(0, &ready) == Backend::kWatchAnew) {
    Ignore(uv_poll_stop(&poll_));
    WatchSleeper();
  }
  for (int i = 0; i < ready.count; i++) {
    const int fd = pairs[2 * i];
    for (const auto& guest : guests_) {
      const int mask = guest->backend->WatchMask(fd);
      if (mask != 0) Ignore(guest->backend->Modify(fd, mask));
    }
  }
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
