/** A handler and its transport, as text and in words. */
import util from 'node:util';

import { addressText, type SocketAddress } from '../system/address-types';
import { Flag, Phase } from '../transport/phase';
import type { Transport } from '../transport/transport';

import type { Phase as PhaseText } from './inspection';

const TEXTS: Readonly<Record<Phase, PhaseText>> = {
  [Phase.unconnected]: 'unconnected',
  [Phase.connecting]: 'connecting',
  [Phase.failed]: 'closing',
  [Phase.listening]: 'listening',
  [Phase.open]: 'connected',
  [Phase.halfClosed]: 'half-closed',
  [Phase.ending]: 'closing',
  [Phase.closed]: 'closed',
};

export function phaseText({ phase, flags }: Transport): PhaseText {
  if (phase !== Phase.closed && flags & Flag.endRequested) return 'closing';
  if (phase === Phase.open && flags & Flag.outputShut) return 'half-closed';
  return TEXTS[phase];
}

/** Undefined where it is not bound, or the socket cannot tell. */
export function localAddressOf({ socket }: Transport): SocketAddress | undefined {
  try {
    return socket?.getsockname();
  } catch {
    return undefined;
  }
}

/** Undefined where there is no peer, or the socket cannot tell. */
export function peerAddressOf({ socket }: Transport): SocketAddress | undefined {
  try {
    return socket?.getpeername();
  } catch {
    return undefined;
  }
}

/** Handlers whose fields are being printed: they may refer to each other, in a circle. */
const inProgress = new Set<object>();

/** For `util.inspect`: `EchoHandler (descriptor 23, connected, peer 127.0.0.1:40312) { count: 5 }`. */
export function describe(
  handler: object,
  transport: Transport,
  depth: number,
  options: util.InspectOptions,
): string {
  const phase = phaseText(transport);
  const isListening = phase === 'listening';
  const address = addressText((isListening ? localAddressOf : peerAddressOf)(transport));
  const facts = [
    ...(transport.fd >= 0 ? [`descriptor ${transport.fd}`] : []),
    phase,
    ...(address === '' ? [] : [`${isListening ? 'at' : 'peer'} ${address}`]),
  ].join(', ');
  const text = `${handler.constructor.name} (${facts})`;
  const own = Object.entries(handler);
  if (own.length === 0 || depth < 0 || inProgress.has(handler)) return text;
  inProgress.add(handler);
  try {
    return `${text} ${util.inspect(Object.fromEntries(own), { ...options, depth })}`;
  } finally {
    inProgress.delete(handler);
  }
}
