// The numbers of socket(7), tcp(7), ip(7), ipv6(7), unix(7), send(2) and epoll_ctl(2), as this
// machine's headers have them.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "environment.h"

namespace asynchia {
namespace {

struct Constant {
  const char* name;
  uint32_t value;
};

#define ASYNCHIA_CONSTANT(name)          \
  {                                      \
#name, static_cast < uint32_t>(name) \
  }

constexpr Constant kConstants[] = {
    ASYNCHIA_CONSTANT(AF_UNIX),       ASYNCHIA_CONSTANT(AF_INET),
    ASYNCHIA_CONSTANT(AF_INET6),      ASYNCHIA_CONSTANT(SOCK_STREAM),
    ASYNCHIA_CONSTANT(SOCK_DGRAM),    ASYNCHIA_CONSTANT(SOCK_SEQPACKET),
    ASYNCHIA_CONSTANT(SHUT_RD),       ASYNCHIA_CONSTANT(SHUT_WR),
    ASYNCHIA_CONSTANT(SHUT_RDWR),     ASYNCHIA_CONSTANT(SOMAXCONN),
    ASYNCHIA_CONSTANT(SOL_SOCKET),    ASYNCHIA_CONSTANT(SO_ACCEPTCONN),
    ASYNCHIA_CONSTANT(SO_BROADCAST),  ASYNCHIA_CONSTANT(SO_DOMAIN),
    ASYNCHIA_CONSTANT(SO_ERROR),      ASYNCHIA_CONSTANT(SO_INCOMING_CPU),
    ASYNCHIA_CONSTANT(SO_KEEPALIVE),  ASYNCHIA_CONSTANT(SO_LINGER),
    ASYNCHIA_CONSTANT(SO_OOBINLINE),  ASYNCHIA_CONSTANT(SO_PEERCRED),
    ASYNCHIA_CONSTANT(SO_PROTOCOL),   ASYNCHIA_CONSTANT(SO_RCVBUF),
    ASYNCHIA_CONSTANT(SO_RCVLOWAT),   ASYNCHIA_CONSTANT(SO_REUSEADDR),
    ASYNCHIA_CONSTANT(SO_REUSEPORT),  ASYNCHIA_CONSTANT(SO_SNDBUF),
    ASYNCHIA_CONSTANT(SO_TYPE),       ASYNCHIA_CONSTANT(IPPROTO_IP),
    ASYNCHIA_CONSTANT(IP_TOS),        ASYNCHIA_CONSTANT(IP_TTL),
    ASYNCHIA_CONSTANT(IPPROTO_IPV6),  ASYNCHIA_CONSTANT(IPV6_V6ONLY),
    ASYNCHIA_CONSTANT(IPPROTO_TCP),   ASYNCHIA_CONSTANT(TCP_CORK),
    ASYNCHIA_CONSTANT(TCP_KEEPCNT),   ASYNCHIA_CONSTANT(TCP_DEFER_ACCEPT),
    ASYNCHIA_CONSTANT(TCP_FASTOPEN),  ASYNCHIA_CONSTANT(TCP_INFO),
    ASYNCHIA_CONSTANT(TCP_KEEPIDLE),  ASYNCHIA_CONSTANT(TCP_KEEPINTVL),
    ASYNCHIA_CONSTANT(TCP_MAXSEG),    ASYNCHIA_CONSTANT(TCP_NODELAY),
    ASYNCHIA_CONSTANT(TCP_QUICKACK),  ASYNCHIA_CONSTANT(TCP_SYNCNT),
    ASYNCHIA_CONSTANT(TCP_LINGER2),   ASYNCHIA_CONSTANT(TCP_USER_TIMEOUT),
    ASYNCHIA_CONSTANT(MSG_DONTROUTE), ASYNCHIA_CONSTANT(MSG_EOR),
    ASYNCHIA_CONSTANT(MSG_MORE),      ASYNCHIA_CONSTANT(MSG_OOB),
    ASYNCHIA_CONSTANT(MSG_PEEK),      ASYNCHIA_CONSTANT(MSG_TRUNC),
    ASYNCHIA_CONSTANT(MSG_WAITALL),
};

// poll(2)'s bits, which epoll(7) shares.
constexpr Constant kReadinessBits[] = {
    ASYNCHIA_CONSTANT(POLLIN),    ASYNCHIA_CONSTANT(POLLPRI), ASYNCHIA_CONSTANT(POLLOUT),
    ASYNCHIA_CONSTANT(POLLERR),   ASYNCHIA_CONSTANT(POLLHUP), ASYNCHIA_CONSTANT(POLLNVAL),
    ASYNCHIA_CONSTANT(POLLRDHUP),
};

#undef ASYNCHIA_CONSTANT

}  // namespace

void ExportConstants(ObjectBuilder* exports) {
  ObjectBuilder object(exports->env());
  for (const Constant& constant : kConstants) object.Number(constant.name, constant.value);
  object.Freeze();
  exports->Set("constants", object.Done());
  ObjectBuilder bits(exports->env());
  for (const Constant& bit : kReadinessBits) bits.Number(bit.name, bit.value);
  exports->Set("readinessBits", bits.Done());
}

}  // namespace asynchia
