// Signals for threads that block in a map, whose Node loop does not turn.
//
// libuv has the process's signal handlers, and writes what arrives to every one of its loops that
// asks for it. A loop of our own, which has nothing else, is turned whenever its descriptor is
// ready: so no handler of libuv's is replaced, and Node's loop gets the same signals when it turns.
#include <sys/epoll.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <vector>

#include "arguments.h"
#include "environment.h"

namespace asynchia {
namespace {

class SignalLoop {
 public:
  // Null, and `result` a negative errno, where libuv can make no loop.
  static std::unique_ptr<SignalLoop> Make(int* result) {
    std::unique_ptr<SignalLoop> made(new SignalLoop);
    *result = uv_loop_init(&made->loop_);
    if (!Ok(*result)) return nullptr;
    made->is_open_ = true;
    // uv_run does nothing at all without an active handle, and would leave the pipe full.
    Ignore(uv_idle_init(&made->loop_, &made->idle_));
    Ignore(uv_idle_start(&made->idle_, [](uv_idle_t*) {}));
    return made;
  }

  ~SignalLoop() {
    // Before anything else: libuv keeps a list of these for the whole process.
    for (const auto& handle : handles_) {
      if (handle != nullptr) Ignore(uv_signal_stop(handle.get()));
    }
    if (!is_open_ || !Turn()) return;
    const auto close = [](uv_handle_t* handle, void*) { uv_close(handle, nullptr); };
    uv_walk(&loop_, close, nullptr);
    Ignore(uv_run(&loop_, UV_RUN_DEFAULT));
    Ignore(uv_loop_close(&loop_));
  }
  SignalLoop(const SignalLoop&) = delete;
  SignalLoop& operator=(const SignalLoop&) = delete;

  int fd() const { return uv_backend_fd(&loop_); }

  int Watch(int number) {
    if (number <= 0 || static_cast<size_t>(number) >= handles_.size()) return -EINVAL;
    auto& handle = handles_[static_cast<size_t>(number)];
    if (handle == nullptr) {
      auto made = std::make_unique<uv_signal_t>();
      const int result = uv_signal_init(&loop_, made.get());
      if (!Ok(result)) return result;
      made->data = this;
      handle = std::move(made);
    }
    if (!Turn()) return -EBADF;
    const int result = uv_signal_start(
        handle.get(),
        [](uv_signal_t* signal, int caught) {
          static_cast<SignalLoop*>(signal->data)->caught_.push_back(caught);
        },
        number);
    // libuv adds its pipe to the descriptor when the loop turns.
    return Turn() ? result : -EBADF;
  }

  void Unwatch(int number) {
    if (number <= 0 || static_cast<size_t>(number) >= handles_.size()) return;
    auto& handle = handles_[static_cast<size_t>(number)];
    if (handle != nullptr) Ignore(uv_signal_stop(handle.get()));
  }

  // Writes the numbers of signals that have arrived, and returns how many.
  int Take(const Integers& numbers) {
    if (!Turn()) return 0;
    const size_t count = std::min(caught_.size(), numbers.length);
    std::copy_n(caught_.begin(), count, numbers.data);
    caught_.erase(caught_.begin(), caught_.begin() + static_cast<std::ptrdiff_t>(count));
    return static_cast<int>(count);
  }

 private:
  SignalLoop() = default;

  // False where others have closed the loop's descriptor: libuv would abort.
  bool Turn() {
    epoll_event event{};
    if (epoll_pwait(fd(), &event, 1, 0, nullptr) < 0) return false;
    Ignore(uv_run(&loop_, UV_RUN_NOWAIT));
    return true;
  }

  uv_loop_t loop_{};
  uv_idle_t idle_{};
  std::array<std::unique_ptr<uv_signal_t>, NSIG> handles_;
  std::vector<int> caught_;
  bool is_open_ = false;
};

struct Bound final : Shared {
  explicit Bound(std::unique_ptr<SignalLoop> of) : loop(std::move(of)) {}

  std::unique_ptr<SignalLoop> loop;  // null once closed
};

// (number): signals of that number are taken from now on.
napi_value Watch(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int number = 0;
  if (!arguments.Int(0, &number)) return nullptr;
  SignalLoop* loop = arguments.Data<Bound>()->loop.get();
  return arguments.Return(loop == nullptr ? -EBADF : loop->Watch(number));
}

napi_value Unwatch(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int number = 0;
  if (!arguments.Int(0, &number)) return nullptr;
  SignalLoop* loop = arguments.Data<Bound>()->loop.get();
  if (loop != nullptr) loop->Unwatch(number);
  return nullptr;
}

napi_value Take(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  Integers numbers;
  if (!arguments.Int32Array(0, &numbers)) return nullptr;
  SignalLoop* loop = arguments.Data<Bound>()->loop.get();
  return arguments.Return(loop == nullptr ? -EBADF : loop->Take(numbers));
}

napi_value Close(napi_env env, napi_callback_info info) {
  Arguments(env, info).Data<Bound>()->loop.reset();
  return nullptr;
}

// () -> { fd, watch, unwatch, take, close }, or a negative errno.
napi_value CreateSignals(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int result = 0;
  std::unique_ptr<SignalLoop> loop = SignalLoop::Make(&result);
  if (loop == nullptr) return arguments.Return(result);
  ObjectBuilder object(env);
  object.Number("fd", static_cast<uint32_t>(loop->fd()));
  object.Functions({{"watch", Watch}, {"unwatch", Unwatch}, {"take", Take}, {"close", Close}},
                   new Bound(std::move(loop)));
  return object.Done();
}

}  // namespace

void ExportSignals(ObjectBuilder* exports) {
  exports->Function("createSignals", CreateSignals, nullptr);
}

}  // namespace asynchia
