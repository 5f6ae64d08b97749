// The maps that run inside Node's loop.
//
// libuv does the waiting: a uv_poll handle watches one epoll instance, the sleeper, which has
// everything that the maps wait for. A uv_check handle, in every iteration of libuv, takes from the
// maps' own backends what is ready, without waiting, and dispatches it until nothing is left. So
// libuv counts the idle time, and whoever turns the loop decides whether it may block.
#ifndef ASYNCHIA_GUEST_LOOP_H_
#define ASYNCHIA_GUEST_LOOP_H_

#include <node_api.h>
#include <uv.h>

#include <memory>
#include <vector>

#include "backends/backend.h"
#include "by_descriptor.h"

namespace asynchia {

// What JavaScript and a running map share, as doubles. lib/system/kernel.ts has the same, and
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

  // Makes it where there is none. Returns a negative errno if it cannot be made.
  static int Of(napi_env env, std::unique_ptr<GuestLoop>* place);

  // -ECANCELED with an exception pending.
  int Start(std::shared_ptr<Backend> backend, const Callbacks& callbacks);
  void Stop(const Backend* backend);

  // Has the sleeper watch `fd` for what the running maps watch it for now.
  int InterestChanged(int fd);

  // Only after Close: the environment, which owns it, is kept until libuv has closed the handles.
  ~GuestLoop();
  GuestLoop(const GuestLoop&) = delete;
  GuestLoop& operator=(const GuestLoop&) = delete;

 private:
  struct Guest;

  GuestLoop(napi_env env, uv_loop_t* loop);

  int Open();
  void Close(napi_async_cleanup_hook_handle hook);

  void BeforeWait();
  void AfterWait();
  int Turn();
  bool Prepare();
  void Arm();
  bool Call(Guest* guest, napi_ref function, int argument);
  void Sweep();
  void WatchAnew(const Backend& backend);
  void WatchSleeper();
  void CheckSleeper(bool has_dispatched);

  template <typename Act>
  void Exclusively(Act act);

  // Node's own descriptors get a pass when so many events were dispatched.
  static constexpr int kEventsPerPass = 128;
  // A second turn that found nothing was a system call in vain: so many passes do without it.
  static constexpr int kSingleTurns = 15;
  static constexpr int kBatch = 16;

  napi_env env_;
  uv_loop_t* loop_;
  uv_prepare_t prepare_{};
  uv_check_t check_{};
  uv_idle_t idle_{};
  uv_timer_t timer_{};
  uv_poll_t poll_{};
  int open_handles_ = 5;
  napi_async_cleanup_hook_handle hook_ = nullptr;
  std::unique_ptr<Backend> sleeper_;
  ByDescriptor<int> watched_;  // what the sleeper watches; 0: nothing
  double timer_at_ms_ = 0;     // 0: the timer is not armed
  int single_turns_ = 0;
  bool is_woken_ = false;
  // Guards against a callback that runs libuv's loop itself.
  bool is_busy_ = false;
  // JavaScript could not be called: the environment is about to go.
  bool is_parked_ = false;
  // Callbacks change neither: they mark guests as stopped and add to started_. Sweep does the rest.
  std::vector<std::unique_ptr<Guest>> guests_;
  std::vector<std::unique_ptr<Guest>> started_;
};

}  // namespace asynchia

#endif  // ASYNCHIA_GUEST_LOOP_H_
