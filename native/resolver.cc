// Host names, resolved on threads of our own.
//
// The loop that waits may not be libuv's (poll, runSync), and what libuv has done for it is then
// neither reported nor freed. So completion is reported by an eventfd that the map watches, and
// JavaScript fetches the result by the number of the look-up. No look-up is a JavaScript object:
// what Node-API frees on collection, it frees when libuv turns.
#include <fcntl.h>
#include <napi.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "addresses.h"
#include "environment.h"

namespace asynchia {
namespace {

struct FreeAddresses {
  void operator()(addrinfo* found) const { freeaddrinfo(found); }
};

struct Lookup {
  Lookup(std::string host, int wakeup_fd) : host(std::move(host)), wakeup(wakeup_fd) {}

  const std::string host;
  // A duplicate: the map may have closed its own by the time this is done. Closed as soon as nobody
  // is to be woken any more. This, and what follows, is the pool's to lock.
  Descriptor wakeup;
  bool is_done = false;
  int status = 0;
  std::unique_ptr<addrinfo, FreeAddresses> found;
};

// What an environment shares with its threads. They are started as they are needed and end when
// nothing waits. Nobody waits for them: getaddrinfo(3) may take minutes, and an environment that
// goes meanwhile leaves them to be discarded.
class Pool {
 public:
  // 0, or the negative errno of why there is no thread to do it.
  static int Start(const std::shared_ptr<Pool>& pool, const std::shared_ptr<Lookup>& lookup) {
    const std::lock_guard<std::mutex> lock(pool->mutex_);
    pool->waiting_.push_back(lookup);
    if (pool->threads_ == kMostThreads) return 0;
    const int error = StartThread(pool);
    if (error == 0) {
      pool->threads_++;
    } else if (pool->threads_ == 0) {
      pool->waiting_.pop_back();
      return -error;
    }
    return 0;
  }

  bool IsDone(const Lookup& lookup) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return lookup.is_done;
  }

  // Nobody is to be woken by it any more.
  void Cancel(Lookup* lookup) {
    const std::lock_guard<std::mutex> lock(mutex_);
    lookup->wakeup.Reset();
  }

 private:
  static constexpr int kMostThreads = 4;

  static int StartThread(const std::shared_ptr<Pool>& pool) {
    auto share = std::make_unique<std::shared_ptr<Pool>>(pool);
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_t thread{};
    const auto run = [](void* data) -> void* {
      const std::unique_ptr<std::shared_ptr<Pool>> own(static_cast<std::shared_ptr<Pool>*>(data));
      (*own)->Work();
      return nullptr;
    };
    // Not std::thread, which can only throw where there is none to be had.
    const int error = pthread_create(&thread, &detached, run, share.get());
    pthread_attr_destroy(&detached);
    if (error == 0) (void)share.release();
    return error;
  }

  void Work() {
    while (const std::shared_ptr<Lookup> lookup = Next()) {
      addrinfo hints{};
      hints.ai_flags = AI_ADDRCONFIG;
      hints.ai_socktype = SOCK_STREAM;
      addrinfo* found = nullptr;
      const int status = getaddrinfo(lookup->host.c_str(), nullptr, &hints, &found);
      const std::lock_guard<std::mutex> lock(mutex_);
      lookup->is_done = true;
      lookup->status = status;
      if (status == 0) lookup->found.reset(found);
      if (lookup->wakeup.get() >= 0) eventfd_write(lookup->wakeup.get(), 1);
      lookup->wakeup.Reset();
    }
  }

  // The next that was not cancelled. Null: the calling thread has to end.
  std::shared_ptr<Lookup> Next() {
    const std::lock_guard<std::mutex> lock(mutex_);
    while (!waiting_.empty()) {
      std::shared_ptr<Lookup> lookup = waiting_.front().lock();
      waiting_.pop_front();
      if (lookup) return lookup;
    }
    threads_--;
    return nullptr;
  }

  std::mutex mutex_;
  std::deque<std::weak_ptr<Lookup>> waiting_;
  int threads_ = 0;
};

// The look-ups of an environment that were not fetched yet, by number.
struct Resolver final : Shared {
  ~Resolver() override {
    for (const auto& [number, lookup] : lookups) pool->Cancel(lookup.get());
  }

  std::shared_ptr<Pool> pool = std::make_shared<Pool>();
  std::unordered_map<int32_t, std::shared_ptr<Lookup>> lookups;
  int32_t last_number = 0;
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

// (host, eventfd) -> the number of the look-up, or -errno.
napi_value Resolve(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  const Napi::Value host(env, arguments[0]);
  int wakeup_fd = 0;
  if (!host.IsString()) {
    arguments.Expected("a host");
    return nullptr;
  }
  if (!arguments.Int(1, &wakeup_fd)) return nullptr;
  auto* resolver = arguments.Data<Resolver>();
  const int own_fd = fcntl(wakeup_fd, F_DUPFD_CLOEXEC, 0);
  if (own_fd < 0) return arguments.Return(-errno);
  auto lookup = std::make_shared<Lookup>(host.As<Napi::String>().Utf8Value(), own_fd);
  const int status = Pool::Start(resolver->pool, lookup);
  if (status < 0) return arguments.Return(status);
  do {
    resolver->last_number = resolver->last_number == INT32_MAX ? 0 : resolver->last_number + 1;
  } while (!resolver->lookups.try_emplace(resolver->last_number, lookup).second);
  return arguments.Return(resolver->last_number);
}

// (number) -> undefined while it is under way; then, once, packed addresses or the code of the
// failure.
napi_value Resolved(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int number = 0;
  if (!arguments.Int(0, &number)) return nullptr;
  auto* resolver = arguments.Data<Resolver>();
  const auto place = resolver->lookups.find(number);
  if (place == resolver->lookups.end() || !resolver->pool->IsDone(*place->second)) return nullptr;
  const std::shared_ptr<Lookup> lookup = std::move(place->second);
  resolver->lookups.erase(place);
  if (lookup->status != 0) return Napi::String::New(env, CodeOf(lookup->status));
  Napi::Array addresses = Napi::Array::New(env);
  uint32_t count = 0;
  for (const addrinfo* entry = lookup->found.get(); entry != nullptr; entry = entry->ai_next) {
    addresses.Set(count++, Napi::Value(env, PackedAddress(env, entry->ai_addr, entry->ai_addrlen)));
  }
  return addresses;
}

// (number): discards it.
napi_value DropLookup(napi_env env, napi_callback_info info) {
  const Arguments arguments(env, info);
  int number = 0;
  if (!arguments.Int(0, &number)) return nullptr;
  auto* resolver = arguments.Data<Resolver>();
  const auto place = resolver->lookups.find(number);
  if (place == resolver->lookups.end()) return nullptr;
  resolver->pool->Cancel(place->second.get());
  resolver->lookups.erase(place);
  return nullptr;
}

}  // namespace

void ExportResolver(ObjectBuilder* exports) {
  auto* resolver = new Resolver;
  exports->Functions({{"resolve", Resolve}, {"resolved", Resolved}, {"dropLookup", DropLookup}},
                     resolver);
}

}  // namespace asynchia
