/** Triggers each callback of a handler, with a real cause. */
import { constants, type SocketMap } from '../../lib';

import { Acting, type CallbackName } from './acting';
import { Recorder } from './recorder';
import { deadAddress, sendText, socketpair, tcpListener, tcpPair } from './streams';

/** Keeps its write side open after the peer has half-closed. */
class HalfOpen extends Acting {
  override allowHalfOpen = true;
}

/** Makes a handler whose callback `name` is called in the next iterations. */
export const provoke: Record<CallbackName, (map: SocketMap) => Acting> = {
  read: (map) => {
    const [ours, theirs] = socketpair();
    sendText(theirs, 'x');
    keep(map, theirs);
    return new Acting(map, ours);
  },
  write: (map) => {
    const [ours, theirs] = socketpair();
    keep(map, theirs);
    const handler = new Acting(map, ours);
    handler.setWritable(true);
    return handler;
  },
  except: (map) => {
    const [ours, theirs] = tcpPair();
    sendText(theirs, '!', constants.MSG_OOB);
    keep(map, theirs);
    return new Acting(map, ours);
  },
  connect: (map) => {
    const listener = tcpListener();
    keep(map, listener);
    const handler = new Acting(map);
    handler.connect(listener.getsockname());
    return handler;
  },
  connectFailed: (map) => {
    const handler = new Acting(map);
    handler.connect(deadAddress());
    return handler;
  },
  end: (map) => {
    const [ours, theirs] = tcpPair();
    theirs.shutdown(constants.SHUT_WR);
    keep(map, theirs);
    return new HalfOpen(map, ours);
  },
  close: (map) => {
    const [ours, theirs] = tcpPair();
    theirs.close();
    return new Acting(map, ours);
  },
  cleanup: (map) => {
    const [ours, theirs] = tcpPair();
    theirs.close();
    return new Acting(map, ours);
  },
  drain: (map) => {
    const [ours, theirs] = socketpair();
    const handler = new Acting(map, ours);
    const reader = new Recorder(map, theirs);
    handler.sendAll(Buffer.alloc(1 << 20));
    reader.setWritable(false);
    return handler;
  },
};

/** Peers that stay open as long as the map. */
const kept = new WeakMap<SocketMap, { close(): void }[]>();

export function keep(map: SocketMap, socket: { close(): void }): void {
  kept.set(map, [...(kept.get(map) ?? []), socket]);
}

/** Whether a callback was called. */
export function isTold(handler: Acting, name: CallbackName): boolean {
  return handler.events.some((event) => event.split(' ')[0] === name);
}

export function closeKept(map: SocketMap): void {
  for (const socket of kept.get(map) ?? []) socket.close();
  kept.delete(map);
}
