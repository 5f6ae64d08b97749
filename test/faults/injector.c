// Stands between the addon and the system's calls, and makes them fail as it is told.
//
// The addon finds each function of the C library through a slot of its own in memory; attach()
// redirects these slots to the functions below. Nobody else's calls are touched: not Node's, not
// libuv's. What is to fail stands in memory that JavaScript writes and reads; injector.ts has the
// other side of its layout.
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64  // it is fcntl64 that the addon calls
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <netdb.h>
#include <node_api.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// recv(2) that only looks, and the three operations of epoll_ctl(2), count as calls of their own.
#define CALLS(X)                                                                                  \
  X(accept4)                                                                                      \
  X(bind)                                                                                         \
  X(close) X(connect) X(epoll_create1) X(epoll_add) X(epoll_modify) X(epoll_delete) X(epoll_wait) \
      X(eventfd) X(eventfd_read) X(eventfd_write) X(fcntl) X(getaddrinfo) X(getpeername)          \
          X(getsockname) X(getsockopt) X(ioctl) X(listen) X(poll) X(pselect) X(pthread_create)    \
              X(recv) X(peek) X(recvmsg) X(send) X(sendmsg) X(setsockopt) X(shutdown) X(socket)   \
                  X(socketpair)

enum call {
#define X(name) CALL_##name,
  CALLS(X)
#undef X
      CALL_COUNT
};

static const char* const call_names[] = {
#define X(name) #name,
    CALLS(X)
#undef X
};

enum { MOST_RULES = 64, MOST_CALLS = 32, TRACE_LENGTH = 16384 };

struct rule {
  int32_t call;
  int32_t fd;             // -1: any
  int32_t skip;           // lets so many calls pass
  int32_t count;          // then acts on so many
  int32_t error;          // 0: none
  int32_t limit;          // of a transfer's length, or of an epoll_wait's events; 0: none
  int32_t per_million;    // how probable it is to act
  int32_t burst;          // acts on so many calls in a row, or on none of them
  int32_t is_afterwards;  // the call is made all the same, and then reported to have failed
};

struct trace {
  int32_t call;
  int32_t detail;  // the descriptor; of a wait, the time-out in milliseconds
  int32_t result;  // a negative errno for failure
};

static struct shared {
  int32_t seed;
  int32_t rule_count;
  int32_t trace_count;
  int32_t made[MOST_CALLS];
  int32_t faulted[MOST_CALLS];
  struct rule rules[MOST_RULES];
  struct trace trace[TRACE_LENGTH];
} shared;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

struct fault {
  enum call call;
  int detail;
  int error;
  int limit;
  bool is_afterwards;
};

// splitmix64's finish: the same draw for the same seed, rule and number of the call.
static uint32_t draw(uint32_t rule, uint32_t number) {
  uint64_t x = ((uint64_t)(uint32_t)shared.seed << 32) + number + rule * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return (uint32_t)((x ^ (x >> 31)) >> 8);
}

static struct fault decide(enum call call, int detail, int fd) {
  struct fault fault = {call, detail, 0, 0, false};
  pthread_mutex_lock(&mutex);
  const uint32_t number = (uint32_t)shared.made[call]++;
  for (int32_t i = 0; i < shared.rule_count; i++) {
    struct rule* rule = &shared.rules[i];
    if (rule->call != (int32_t)call || (rule->fd >= 0 && rule->fd != fd)) continue;
    if (rule->skip > 0) {
      rule->skip--;
      continue;
    }
    if (rule->count == 0) continue;
    const uint32_t drawn = draw((uint32_t)i, number / (uint32_t)rule->burst);
    if (drawn % 1000000 >= (uint32_t)rule->per_million) continue;
    rule->count--;
    fault.error = rule->error;
    fault.is_afterwards = rule->is_afterwards != 0;
    if (rule->limit > 0)
      fault.limit = 1 + (int)(draw((uint32_t)i, ~number) % (uint32_t)rule->limit);
    shared.faulted[call]++;
    break;
  }
  pthread_mutex_unlock(&mutex);
  return fault;
}

// Writes down what the caller is told, and tells it.
static long told(const struct fault* fault, long result) {
  const int error = fault->error != 0 ? fault->error : result < 0 ? errno : 0;
  pthread_mutex_lock(&mutex);
  struct trace* entry = &shared.trace[shared.trace_count % TRACE_LENGTH];
  *entry = (struct trace){fault->call, fault->detail, error != 0 ? -error : (int32_t)result};
  shared.trace_count++;
  pthread_mutex_unlock(&mutex);
  errno = error;
  return error != 0 ? -1 : result;
}

static bool is_instead(const struct fault* fault) {
  return fault->error != 0 && !fault->is_afterwards;
}

static size_t limited(const struct fault* fault, size_t length) {
  return fault->limit > 0 && (size_t)fault->limit < length ? (size_t)fault->limit : length;
}

// The C library's own functions (or a sanitizer's before them).
#define REAL(name) ((__typeof__(&name))real[REAL_##name])

#define REDIRECTED(X)                                                                           \
  X(accept4)                                                                                    \
  X(bind)                                                                                       \
  X(close) X(connect) X(epoll_create1) X(epoll_ctl) X(epoll_wait) X(eventfd) X(eventfd_read)    \
      X(eventfd_write) X(fcntl64) X(getaddrinfo) X(getpeername) X(getsockname) X(getsockopt)    \
          X(ioctl) X(listen) X(ppoll) X(pselect) X(recvmsg) X(sendmsg) X(setsockopt)            \
              X(shutdown) X(socket) X(socketpair) X(syscall) X(pthread_create)

enum {
#define X(name) REAL_##name,
  REDIRECTED(X)
#undef X
      REAL_COUNT
};

static void* real[REAL_COUNT];

// A function that passes through, unless a rule says otherwise.
#define WRAP(name, fd, parameters, arguments)               \
  static int wrapped_##name parameters {                    \
    const struct fault fault = decide(CALL_##name, fd, fd); \
    if (is_instead(&fault)) return (int)told(&fault, -1);   \
    return (int)told(&fault, REAL(name) arguments);         \
  }

WRAP(accept4, fd, (int fd, struct sockaddr* a, socklen_t* l, int flags), (fd, a, l, flags))
WRAP(bind, fd, (int fd, const struct sockaddr* a, socklen_t l), (fd, a, l))
WRAP(close, fd, (int fd), (fd))
WRAP(connect, fd, (int fd, const struct sockaddr* a, socklen_t l), (fd, a, l))
WRAP(epoll_create1, -1, (int flags), (flags))
WRAP(eventfd, -1, (unsigned int count, int flags), (count, flags))
WRAP(eventfd_read, fd, (int fd, eventfd_t* value), (fd, value))
WRAP(eventfd_write, fd, (int fd, eventfd_t value), (fd, value))
WRAP(getpeername, fd, (int fd, struct sockaddr* a, socklen_t* l), (fd, a, l))
WRAP(getsockname, fd, (int fd, struct sockaddr* a, socklen_t* l), (fd, a, l))
WRAP(getsockopt, fd, (int fd, int level, int option, void* value, socklen_t* length),
     (fd, level, option, value, length))
WRAP(listen, fd, (int fd, int backlog), (fd, backlog))
WRAP(setsockopt, fd, (int fd, int level, int option, const void* value, socklen_t length),
     (fd, level, option, value, length))
WRAP(shutdown, fd, (int fd, int how), (fd, how))
WRAP(socket, -1, (int family, int type, int protocol), (family, type, protocol))
WRAP(socketpair, -1, (int family, int type, int protocol, int* pair),
     (family, type, protocol, pair))

static int wrapped_fcntl64(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  const long argument = va_arg(list, long);
  va_end(list);
  const struct fault fault = decide(CALL_fcntl, fd, fd);
  if (is_instead(&fault)) return (int)told(&fault, -1);
  return (int)told(&fault, ((__typeof__(&fcntl))real[REAL_fcntl64])(fd, command, argument));
}

static int wrapped_ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void* argument = va_arg(list, void*);
  va_end(list);
  const struct fault fault = decide(CALL_ioctl, fd, fd);
  if (is_instead(&fault)) return (int)told(&fault, -1);
  return (int)told(&fault, REAL(ioctl)(fd, request, argument));
}

// Returns its error instead of setting errno; a rule names it without its sign.
static int wrapped_getaddrinfo(const char* host, const char* service, const struct addrinfo* hints,
                               struct addrinfo** found) {
  const struct fault fault = decide(CALL_getaddrinfo, -1, -1);
  if (fault.error == 0) return REAL(getaddrinfo)(host, service, hints, found);
  told(&fault, -1);
  return -fault.error;
}

// So does this.
static int wrapped_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                  void* (*run)(void*), void* data) {
  const struct fault fault = decide(CALL_pthread_create, -1, -1);
  if (fault.error == 0) return REAL(pthread_create)(thread, attributes, run, data);
  told(&fault, -1);
  return fault.error;
}

static int wrapped_epoll_ctl(int epoll, int operation, int fd, struct epoll_event* event) {
  const enum call call = operation == EPOLL_CTL_ADD   ? CALL_epoll_add
                         : operation == EPOLL_CTL_MOD ? CALL_epoll_modify
                                                      : CALL_epoll_delete;
  const struct fault fault = decide(call, fd, fd);
  if (is_instead(&fault)) return (int)told(&fault, -1);
  return (int)told(&fault, REAL(epoll_ctl)(epoll, operation, fd, event));
}

// A signal comes some time into the wait.
static long interrupted(const struct fault* fault) {
  const struct timespec while_waiting = {0, fault->detail == 0 ? 0 : 1000000};
  if (fault->error == EINTR) nanosleep(&while_waiting, NULL);
  return told(fault, -1);
}

static int wrapped_epoll_wait(int epoll, struct epoll_event* events, int most, int timeout) {
  const struct fault fault = decide(CALL_epoll_wait, timeout, epoll);
  if (is_instead(&fault)) return (int)interrupted(&fault);
  most = (int)limited(&fault, (size_t)most);
  return (int)told(&fault, REAL(epoll_wait)(epoll, events, most, timeout));
}

// Rounded down; -1 for never.
static int milliseconds(const struct timespec* time) {
  return time == NULL ? -1 : (int)(time->tv_sec * 1000 + time->tv_nsec / 1000000);
}

static int wrapped_ppoll(struct pollfd* fds, nfds_t count, const struct timespec* timeout,
                         const sigset_t* mask) {
  const struct fault fault = decide(CALL_poll, milliseconds(timeout), -1);
  if (is_instead(&fault)) return (int)interrupted(&fault);
  return (int)told(&fault, REAL(ppoll)(fds, count, timeout, mask));
}

static int wrapped_pselect(int count, fd_set* reads, fd_set* writes, fd_set* excepts,
                           const struct timespec* timeout, const sigset_t* mask) {
  const struct fault fault = decide(CALL_pselect, milliseconds(timeout), -1);
  if (is_instead(&fault)) return (int)interrupted(&fault);
  return (int)told(&fault, REAL(pselect)(count, reads, writes, excepts, timeout, mask));
}

static ssize_t wrapped_recvmsg(int fd, struct msghdr* message, int flags) {
  const struct fault fault = decide(CALL_recvmsg, fd, fd);
  if (is_instead(&fault)) return told(&fault, -1);
  return told(&fault, REAL(recvmsg)(fd, message, flags));
}

static ssize_t wrapped_sendmsg(int fd, const struct msghdr* message, int flags) {
  const struct fault fault = decide(CALL_sendmsg, fd, fd);
  if (is_instead(&fault)) return told(&fault, -1);
  if (fault.limit == 0 || message->msg_iovlen == 0) {
    return told(&fault, REAL(sendmsg)(fd, message, flags));
  }
  // Short of the first part, or of all but the first.
  struct iovec first = message->msg_iov[0];
  first.iov_len = limited(&fault, first.iov_len);
  struct msghdr shortened = *message;
  shortened.msg_iov = &first;
  shortened.msg_iovlen = 1;
  return told(&fault, REAL(sendmsg)(fd, &shortened, flags));
}

// epoll_pwait2(2), which counts as an epoll_wait(2).
enum { EPOLL_PWAIT2 = 441 };

static long wrapped_epoll_pwait2(const long a[6]) {
  const struct fault fault =
      decide(CALL_epoll_wait, milliseconds((const struct timespec*)a[3]), (int)a[0]);
  if (is_instead(&fault)) return interrupted(&fault);
  const long most = (long)limited(&fault, (size_t)a[2]);
  return told(&fault, REAL(syscall)(EPOLL_PWAIT2, a[0], a[1], most, a[3], a[4], a[5]));
}

// The addon receives, sends, and waits exactly for epoll by syscall(2).
static long wrapped_syscall(long number, ...) {
  long a[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (number == EPOLL_PWAIT2) return wrapped_epoll_pwait2(a);
  const int fd = (int)a[0];
  const bool is_look = number == SYS_recvfrom && ((int)a[3] & MSG_PEEK) != 0;
  const enum call call = is_look ? CALL_peek : number == SYS_recvfrom ? CALL_recv : CALL_send;
  const struct fault fault = decide(call, fd, fd);
  if (is_instead(&fault)) return told(&fault, -1);
  const long length = (long)limited(&fault, (size_t)a[2]);
  return told(&fault, REAL(syscall)(number, a[0], a[1], length, a[3], a[4], a[5]));
}

static const struct {
  const char* name;
  void* wrapped;
} redirected[] = {
#define X(name) {#name, (void*)wrapped_##name},
    REDIRECTED(X)
#undef X
};

// The slots that were redirected, and what stood in them.
static struct {
  void** slot;
  void* before;
} slots[2 * REAL_COUNT];
static int slot_count;

static void write_slot(void** slot, void* value) {
  const uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
  void* page = (void*)((uintptr_t)slot & ~(page_size - 1));
  mprotect(page, page_size, PROT_READ | PROT_WRITE);
  *slot = value;
}

static void redirect(const ElfW(Addr) base, const ElfW(Rela) * from, size_t bytes,
                     const ElfW(Sym) * symbols, const char* strings) {
  for (const ElfW(Rela)* entry = from; entry < from + bytes / sizeof *from; entry++) {
    const char* name = strings + symbols[ELF64_R_SYM(entry->r_info)].st_name;
    for (int i = 0; i < REAL_COUNT; i++) {
      if (strcmp(name, redirected[i].name) != 0) continue;
      void** slot = (void**)(base + entry->r_offset);
      slots[slot_count].slot = slot;
      slots[slot_count++].before = *slot;
      write_slot(slot, redirected[i].wrapped);
    }
  }
}

static int redirect_in(struct dl_phdr_info* info, size_t size, void* ending) {
  (void)size;
  const size_t length = strlen(info->dlpi_name);
  const size_t ending_length = strlen(ending);
  if (length < ending_length || strcmp(info->dlpi_name + length - ending_length, ending) != 0) {
    return 0;
  }
  uintptr_t of[DT_NUM] = {0};
  for (int i = 0; i < info->dlpi_phnum; i++) {
    if (info->dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const ElfW(Dyn)* entry = (const void*)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; entry++) {
      if (entry->d_tag > 0 && entry->d_tag < DT_NUM) of[entry->d_tag] = entry->d_un.d_ptr;
    }
  }
  const ElfW(Sym)* symbols = (const void*)of[DT_SYMTAB];
  const char* strings = (const char*)of[DT_STRTAB];
  redirect(info->dlpi_addr, (const void*)of[DT_JMPREL], of[DT_PLTRELSZ], symbols, strings);
  redirect(info->dlpi_addr, (const void*)of[DT_RELA], of[DT_RELASZ], symbols, strings);
  return 1;
}

// () -> how many slots of the addon, which must be loaded, were redirected.
static napi_value attach(napi_env env, napi_callback_info info) {
  (void)info;
  for (int i = 0; i < REAL_COUNT; i++) real[i] = dlsym(RTLD_DEFAULT, redirected[i].name);
  if (slot_count == 0) dl_iterate_phdr(redirect_in, (void*)"/asynchia.node");
  napi_value count;
  napi_create_int32(env, slot_count, &count);
  return count;
}

static napi_value detach(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
  while (slot_count > 0) {
    slot_count--;
    write_slot(slots[slot_count].slot, slots[slot_count].before);
  }
  return NULL;
}

NAPI_MODULE_INIT() {
  napi_value value;
  napi_create_function(env, "attach", NAPI_AUTO_LENGTH, attach, NULL, &value);
  napi_set_named_property(env, exports, "attach", value);
  napi_create_function(env, "detach", NAPI_AUTO_LENGTH, detach, NULL, &value);
  napi_set_named_property(env, exports, "detach", value);
  napi_create_external_arraybuffer(env, &shared, sizeof shared, NULL, NULL, &value);
  napi_set_named_property(env, exports, "memory", value);
  napi_value names;
  napi_create_array(env, &names);
  for (uint32_t i = 0; i < CALL_COUNT; i++) {
    napi_create_string_utf8(env, call_names[i], NAPI_AUTO_LENGTH, &value);
    napi_set_element(env, names, i, value);
  }
  napi_set_named_property(env, exports, "calls", names);
  return exports;
}
