/** What a socket is for. */
import { binding } from '../system/binding';

import { constants, Errno } from '../system/constants';

/**
 * What a socket is used for, as far as this process knows. `unconnected`: a stream socket without a
 * peer. A descriptor without connections (a datagram socket, a pipe) counts as `connected`.
 */
export type SocketRole = 'unconnected' | 'connected' | 'listening';

/** The role of a descriptor that was made elsewhere. */
export function roleOf(fd: number): SocketRole {
  const value = new Int32Array(1);
  const ask = (option: number): number | undefined => {
    const bytes = new Uint8Array(value.buffer);
    return binding.getsockopt(fd, constants.SOL_SOCKET, option, bytes) < 0 ? undefined : value[0];
  };
  const type = ask(constants.SO_TYPE);
  if (type === undefined || !hasConnections(type)) return 'connected';
  if (ask(constants.SO_ACCEPTCONN) === 1) return 'listening';
  return binding.getpeername(fd) === Errno.notConnected ? 'unconnected' : 'connected';
}

/** A type may have flags among its higher bits. socket(2) */
export function hasConnections(type: number): boolean {
  const kind = type & 0xf;
  return kind === constants.SOCK_STREAM || kind === constants.SOCK_SEQPACKET;
}
