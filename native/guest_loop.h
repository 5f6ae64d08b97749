// The maps that run inside Node's loop, and the waiting for them.
//
// A uv_check handle does the waiting: in the maps' backends, with libuv's descriptor as one more of
// theirs. libuv gets a pass that does not block whenever it has something, its time-out is due, or
// kTurnsPerPass turns went by; a uv_idle handle that is active meanwhile keeps it from blocking.
#ifndef ASYNCHIA_GUEST_LOOP_H_
#define ASYNCHIA_GUEST_LOOP_H_

#include <node_api.h>
#include <uv.h>

#include <memory>
#include <vector>

#include "backends/backend.h"

namespace asynchia {

// What JavaScript and a waiting map share, as doubles. lib/system/kernel.ts has the same, and
// checks it at load.
enum ControlField {
  kTurnAtMs,      // when a turn is due without any event, on MonotonicMs()'s clock
  kHasChanges,    // not 0: `prepare` wants to be called before the next wait
  kControlFields  // how many there are
};

class GuestLoop {
 public:
  struct Callbacks {
    napi_value ready;     // Int32Array of (descriptor, bits) pairs
    napi_value control;   // Float64Array of ControlField
    napi_value prepare;   // (): flush changes, set kTurnAtMs
    napi_value dispatch;  // (count): one turn; negative: the wait failed with that errno
  };

  // Makes it where there is none. Null, with an exception pending, if Node has no loop for it.
  static GuestLoop* Of(napi_env env, std::unique_ptr<GuestLoop>* place);

  // -ECANCELED with an exception pending.
  int Start(std::shared_ptr<Backend> backend, const Callbacks& callbacks);
  void Stop(const Backend* backend);

  // Only after Close: the environment, which owns it, is kept until libuv has closed the handles.
  ~GuestLoop();
  GuestLoop(const GuestLoop&) = delete;
  GuestLoop& operator=(const GuestLoop&) = delete;

 private:
  struct Guest;

  GuestLoop(napi_env env, uv_loop_t* loop);

  bool Open();

  void Pass();
  bool Turn();
  bool Prepare();
  int WaitForAll(double timeout_ms, bool* libuv_is_ready);
  int WaitForOne(Guest* guest, double timeout_ms, bool* libuv_is_ready);
  bool Call(Guest* guest, napi_ref function, int argument);
  void Sweep();
  void KeepAwake();
  void Close(napi_async_cleanup_hook_handle hook);

  static constexpr int kTurnsPerPass = 64;

  napi_env env_;
  uv_loop_t* loop_;
  uv_check_t check_{};
  uv_idle_t idle_{};
  int open_handles_ = 2;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  // Callbacks change neither: they mark guests as stopped and add to started_. Sweep does the rest.
  std::vector<std::unique_ptr<Guest>> guests_;
  std::vector<std::unique_ptr<Guest>> started_;
  std::vector<pollfd> watched_;
};

}  // namespace asynchia

#endif  // ASYNCHIA_GUEST_LOOP_H_
