/** The kernel's constants. */
import os from 'node:os';

import { binding } from './binding';

/** A name in `constants`. */
export type ConstantName =
  | 'AF_UNIX'
  | 'AF_INET'
  | 'AF_INET6'
  | 'SOCK_STREAM'
  | 'SOCK_DGRAM'
  | 'SOCK_SEQPACKET'
  | 'SHUT_RD'
  | 'SHUT_WR'
  | 'SHUT_RDWR'
  | 'SOMAXCONN'
  | 'SOL_SOCKET'
  | 'SO_ACCEPTCONN'
  | 'SO_BROADCAST'
  | 'SO_DOMAIN'
  | 'SO_ERROR'
  | 'SO_INCOMING_CPU'
  | 'SO_KEEPALIVE'
  | 'SO_LINGER'
  | 'SO_OOBINLINE'
  | 'SO_PEERCRED'
  | 'SO_PROTOCOL'
  | 'SO_RCVBUF'
  | 'SO_RCVLOWAT'
  | 'SO_REUSEADDR'
  | 'SO_REUSEPORT'
  | 'SO_SNDBUF'
  | 'SO_TYPE'
  | 'IPPROTO_IP'
  | 'IP_TOS'
  | 'IP_TTL'
  | 'IPPROTO_IPV6'
  | 'IPV6_V6ONLY'
  | 'IPPROTO_TCP'
  | 'TCP_CORK'
  | 'TCP_DEFER_ACCEPT'
  | 'TCP_FASTOPEN'
  | 'TCP_INFO'
  | 'TCP_KEEPCNT'
  | 'TCP_KEEPIDLE'
  | 'TCP_KEEPINTVL'
  | 'TCP_LINGER2'
  | 'TCP_MAXSEG'
  | 'TCP_NODELAY'
  | 'TCP_QUICKACK'
  | 'TCP_SYNCNT'
  | 'TCP_USER_TIMEOUT'
  | 'MSG_DONTROUTE'
  | 'MSG_EOR'
  | 'MSG_MORE'
  | 'MSG_OOB'
  | 'MSG_PEEK'
  | 'MSG_TRUNC'
  | 'MSG_WAITALL';

/**
 * The constants of socket(2), socket(7), shutdown(2), tcp(7), ip(7), ipv6(7), recv(2) and send(2),
 * by their C names, with this machine's values: `constants.SO_REUSEADDR`.
 */
export const constants = binding.constants as Readonly<Record<ConstantName, number>>;

const { EADDRINUSE, EAGAIN, EALREADY, EBADF, ECONNABORTED, ECONNREFUSED } = os.constants.errno;
const { EINPROGRESS, EINTR, EINVAL, EISCONN, ENOMEM, ENOTCONN } = os.constants.errno;
const { ENOTSOCK, EPIPE, ETIMEDOUT } = os.constants.errno;

/**
 * What `recvInto`, `send`, `sendMany` and `unread` of a `Socket` return if the call would block:
 * `-EAGAIN`. An `IOHandler`'s `recvInto` and `send` return 0 instead.
 */
export const WOULD_BLOCK = -EAGAIN;

/** Error numbers, negative as in the results of kernel calls. */
export const Errno = {
  addressInUse: -EADDRINUSE,
  badDescriptor: -EBADF,
  connectionAborted: -ECONNABORTED,
  connectionRefused: -ECONNREFUSED,
  inProgress: -EINPROGRESS,
  interrupted: -EINTR,
  invalidArgument: -EINVAL,
  isConnected: -EISCONN,
  alreadyConnecting: -EALREADY,
  notConnected: -ENOTCONN,
  notSocket: -ENOTSOCK,
  outOfMemory: -ENOMEM,
  brokenPipe: -EPIPE,
  timedOut: -ETIMEDOUT,
} as const;
