/** A handler in words: what is told of it to people. */
import util from 'node:util';

import type { Phase } from '../inspection/shapes';
import { addressText, type SocketAddress } from '../sockets/address-types';
import type { SocketSurface } from '../sockets/socket';

import { socketOf, state, State, watched } from './handler-state';

const { connecting, ended, ending, listening, open, readEnded, writeEnded } = State;

/** What of a handler is described. */
interface Described {
  readonly [state]: number;
  readonly [watched]: number;
  readonly [socketOf]: SocketSurface | undefined;
}

export function phaseOf({ [state]: bits }: Described): Phase {
  if (bits & State.closed) return 'closed';
  if (bits & (ending | ended)) return 'closing';
  if (bits & connecting) return 'connecting';
  if (bits & listening) return 'listening';
  if (!(bits & open)) return 'unconnected';
  return bits & (readEnded | writeEnded) ? 'half-closed' : 'connected';
}

/** Where it is bound; undefined where the socket does not tell, for whatever reason. */
export function localAddressOf({ [socketOf]: socket }: Described): SocketAddress | undefined {
  try {
    return socket?.getsockname();
  } catch {
    return undefined;
  }
}

/** Who is at the other end; undefined where the socket does not tell, for whatever reason. */
export function peerAddressOf({ [socketOf]: socket }: Described): SocketAddress | undefined {
  try {
    return socket?.getpeername();
  } catch {
    return undefined;
  }
}

/** Those whose fields are being written: handlers may know each other, in a circle. */
const inDescription = new Set<Described>();

/** For `util.inspect`: `EchoHandler (descriptor 23, connected, peer 127.0.0.1:40312) { count: 5 }`. */
export function describe(handler: Described, depth: number, options: util.InspectOptions): string {
  const phase = phaseOf(handler);
  const isListening = phase === 'listening';
  const address = addressText((isListening ? localAddressOf : peerAddressOf)(handler));
  const facts = [
    ...(handler[watched] >= 0 ? [`descriptor ${handler[watched]}`] : []),
    phase,
    ...(address === '' ? [] : [`${isListening ? 'at' : 'peer'} ${address}`]),
  ].join(', ');
  const text = `${handler.constructor.name} (${facts})`;
  const own = Object.entries(handler);
  if (own.length === 0 || depth < 0 || inDescription.has(handler)) return text;
  inDescription.add(handler);
  try {
    return `${text} ${util.inspect(Object.fromEntries(own), { ...options, depth })}`;
  } finally {
    inDescription.delete(handler);
  }
}
