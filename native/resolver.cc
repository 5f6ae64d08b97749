// Host names, resolved on libuv's thread pool.
//
// The loop that waits may not be libuv's (poll, runSync), so completion is told by an eventfd that
// the map watches, and the result lies in memory that both sides share.
#include <fcntl.h>
#include <napi.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>

#include "addresses.h"
#include "environment.h"

namespace asynchia {
namespace {

struct Lookup {
  ~Lookup() {
    if (found != nullptr) freeaddrinfo(found);
    if (wakeup_fd >= 0) close(wakeup_fd);
  }

  void Run() {
    addrinfo hints{};
    hints.ai_flags = AI_ADDRCONFIG;
    hints.ai_socktype = SOCK_STREAM;
    status = getaddrinfo(host.c_str(), nullptr, &hints, &found);
    is_done.store(true, std::memory_order_release);
    eventfd_write(wakeup_fd, 1);
    // Not left to the destructor: under runSync libuv does not run, and that may be far away.
    close(wakeup_fd);
    wakeup_fd = -1;
  }

  std::string host;
  int wakeup_fd = -1;  // a duplicate: the map may have closed its own by the time this is done
  int status = 0;
  addrinfo* found = nullptr;
  std::atomic<bool> is_done{false};
};

// What getaddrinfo(3) failed with, under the names that Node gives to it.
const char* CodeOf(int status) {
  switch (status) {
    case EAI_NONAME:
    case EAI_NODATA:
      return "ENOTFOUND";
    case EAI_AGAIN:
      return "EAI_AGAIN";
    case EAI_MEMORY:
      return "EAI_MEMORY";
    case EAI_SYSTEM:
      return "EAI_SYSTEM";
    default:
      return "EAI_FAIL";
  }
}

class LookupWorker final : public Napi::AsyncWorker {
 public:
  // The worker deletes itself, which the analyzer cannot see; the environment waits for it.
  static void Start(Napi::Env env, std::shared_ptr<Lookup> lookup) {
    (new LookupWorker(env, std::move(lookup)))->Queue();
  }  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks)

  LookupWorker(Napi::Env env, std::shared_ptr<Lookup> lookup)
      : Napi::AsyncWorker(env, "asynchia.Lookup"), lookup_(std::move(lookup)) {}
  void Execute() override {
    lookup_->Run();
    lookup_.reset();
  }

 private:
  std::shared_ptr<Lookup> lookup_;
};

// undefined until done, then packed addresses, or the code of the failure.
Napi::Value Result(const Napi::Env env, Lookup& lookup) {
  if (!lookup.is_done.load(std::memory_order_acquire)) return env.Undefined();
  if (lookup.status != 0) return Napi::String::New(env, CodeOf(lookup.status));
  Napi::Array addresses = Napi::Array::New(env);
  uint32_t count = 0;
  for (const addrinfo* entry = lookup.found; entry != nullptr; entry = entry->ai_next) {
    addresses.Set(count++, Napi::Value(env, PackedAddress(env, entry->ai_addr, entry->ai_addrlen)));
  }
  freeaddrinfo(lookup.found);
  lookup.found = nullptr;
  return addresses;
}

// (host, eventfd) -> a function that tells the result.
Napi::Value Resolve(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const double wakeup = info[1].IsNumber() ? info[1].As<Napi::Number>().DoubleValue() : -1;
  if (!info[0].IsString() || !(wakeup >= 0 && wakeup <= INT32_MAX) ||
      wakeup != static_cast<int>(wakeup)) {
    Napi::TypeError::New(env, "resolve: expected a host and a descriptor")
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  auto lookup = std::make_shared<Lookup>();
  lookup->host = info[0].As<Napi::String>().Utf8Value();
  lookup->wakeup_fd = fcntl(static_cast<int>(wakeup), F_DUPFD_CLOEXEC, 0);
  if (lookup->wakeup_fd < 0) return Napi::Number::New(env, -errno);
  LookupWorker::Start(env, lookup);
  return Napi::Function::New(
      env, [lookup](const Napi::CallbackInfo& call) { return Result(call.Env(), *lookup); },
      "result");
}

}  // namespace

void ExportResolver(napi_env env, napi_value exports) {
  Napi::Object(env, exports).Set("resolve", Napi::Function::New(env, Resolve, "resolve"));
}

}  // namespace asynchia
