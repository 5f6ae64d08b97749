/** A handler's life: it gets its socket, may get another, and is ended. */
import { checkInteger } from '../arguments';
import { closedError, noSocketError, SystemError } from '../errors';
import { Errno } from '../sockets/constants';
import type { SocketSurface } from '../sockets/socket';

import { registry, release, roleBits, sendHeld, socketOf, state, State } from './handler-state';
import type { Registry } from './registry';

const { closed, readEnded } = State;

/** Where bytes go that nobody wants. */
const DISCARDED = Buffer.allocUnsafeSlow(64 * 1024);

/** What of a handler its life is about. */
interface Living {
  [state]: number;
  [socketOf]: SocketSurface | undefined;
  readonly closed: boolean;
  readonly socketMap: { readonly [registry]: Registry<Living> };
  fileno(): number;
  [sendHeld](): void;
  [release](): void;
}

/** Accepted connections that no handler has taken over. */
export const unclaimed = new WeakSet<SocketSurface>();

/** Gives a handler its socket, and the handler to its map. */
export function giveSocket(handler: Living, socket: SocketSurface): void {
  const fd = socket.fileno();
  if (fd < 0) throw new SystemError('fcntl', Errno.badDescriptor);
  checkInteger('sock.fileno()', fd);
  handler[socketOf] = socket;
  // One that was taken out while its name was being resolved stays out.
  if (handler[state] & State.member) handler.socketMap[registry].add(handler);
  handler[state] |= roleBits[socket.role];
  unclaimed.delete(socket);
}

/** Takes away a socket whose connection attempt failed, so that another can take its place. */
export function dropSocket(handler: Living): void {
  const inner = handler.socketMap[registry];
  const isMember = handler[state] & State.member;
  inner.delete(handler);
  handler[socketOf]?.close();
  handler[socketOf] = undefined;
  if (isMember) inner.expect(handler);
}

/**
 * Ends a handler, whatever `close` its class has. Once more does nothing. Whatever throws on the
 * way, its last output or a socket of another make, it is out of the map and told so.
 */
export function closeHandler(handler: Living): void {
  if (handler[state] & State.closed) return;
  const inner = handler.socketMap[registry];
  try {
    handler[sendHeld]();
  } finally {
    // Out of the map first: the descriptor's number may be another's as soon as it is closed.
    inner.delete(handler);
    const hasReadEnd = handler[state] & readEnded;
    handler[state] = (handler[state] | State.closed) & ~(State.open | State.connecting);
    try {
      // Past an urgent byte that nobody fetched: closing with one unread resets the connection, and
      // what the peer has yet to receive is lost. tcp(7)
      if (hasReadEnd) discard(handler);
      handler[socketOf]?.close();
    } finally {
      handler[release]();
      inner.cleanup(handler);
    }
  }
}

/** Throws away what nobody is to be told of. */
export function discard(handler: Living): void {
  try {
    handler[socketOf]?.recvInto(DISCARDED);
  } catch (error) {
    // Reset: the next look at the socket finds that it has ended.
    if (!(error instanceof SystemError)) throw error;
  }
}

/** The socket that `method` needs, or an error that says why there is none. */
export function openSocket(handler: Living, method: string): SocketSurface {
  const socket = handler[socketOf];
  if (socket === undefined || handler[state] & closed) throw unusable(handler, method);
  return socket;
}

function unusable(handler: Living, method: string): Error {
  return (handler.closed ? closedError : noSocketError)(method, handler.constructor.name);
}
