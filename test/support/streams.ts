/** Connections with both ends in the test, and actions of a peer. */
import { constants, Socket, type SocketAddress, WOULD_BLOCK } from '../../lib';
import type { Kernel } from '../../lib/system/kernel';
import { POLLIN, POLLOUT } from '../../lib/select';

import { kernel } from './kernels';

const PATIENCE_SECONDS = 10;

/** Two connected sockets of the test's kernel. */
export function socketpair(): [Socket, Socket] {
  return Socket.pairOn(kernel());
}

/** A socket of the test's kernel. */
export function createSocket(family: number = constants.AF_INET): Socket {
  return Socket.createOn(kernel(), family);
}

/** Waits until the kernel reports one of `bits` for a socket. */
export function untilReady(socket: Socket, bits: number): void {
  const backend = socket.kernel.createBackend('poll');
  if (typeof backend === 'number') throw new Error(`no poll(2) here: ${backend}`);
  backend.add(socket.fileno(), bits);
  const count = backend.wait(PATIENCE_SECONDS * 1000, new Int32Array(2));
  backend.close();
  if (count !== 1) {
    throw new Error(`waited in vain for readiness ${bits} of descriptor ${socket.fileno()}`);
  }
}

/** A listening socket on a free port of loopback, without a handler. */
export function tcpListener(backlog = 8): Socket {
  const listener = createSocket();
  // Thousands per minute leave no port without connections in TIME_WAIT.
  listener.setsockopt(constants.SOL_SOCKET, constants.SO_REUSEADDR, true);
  listener.bind(['127.0.0.1', 0]);
  listener.listen(backlog);
  return listener;
}

/** A TCP connection over loopback: two connected sockets. */
export function tcpPair(): [Socket, Socket] {
  const listener = tcpListener();
  const client = createSocket();
  client.connect(listener.getsockname());
  untilReady(listener, POLLIN);
  const accepted = insist(() => listener.accept());
  untilReady(client, POLLOUT);
  listener.close();
  if (accepted === undefined) throw new Error('nothing to accept');
  return [client, accepted.socket];
}

/** Retries once on would-block: a simulated kernel injects it, but not twice in a row. */
export function insist<T>(call: () => T): T {
  const result = call();
  return result === WOULD_BLOCK || result === undefined ? call() : result;
}

const unheard = new WeakMap<Kernel, Socket>();

/** A port without a listener: it stays bound, so that no other process can listen there. */
export function deadAddress(): [string, number] {
  let socket = unheard.get(kernel());
  if (socket === undefined) {
    socket = createSocket();
    socket.bind(['127.0.0.1', 0]);
    unheard.set(kernel(), socket);
  }
  return ['127.0.0.1', portOf(socket.getsockname())];
}

function portOf(address: SocketAddress): number {
  return 'port' in address ? address.port : 0;
}

/** Both kinds of streams. */
export const streams = [
  ['unix', socketpair],
  ['tcp', tcpPair],
] as const;

/** Closes a TCP socket so that its peer gets a reset (SO_LINGER of 0 seconds; socket(7)). */
export function reset(socket: Socket): void {
  const onAndZero = new Uint8Array(Int32Array.of(1, 0).buffer);
  socket.setsockopt(constants.SOL_SOCKET, constants.SO_LINGER, onAndZero);
  socket.close();
}

export function sendText(socket: Socket, text: string, flags = 0): void {
  const bytes = Buffer.from(text, 'latin1');
  for (let sent = 0; sent < bytes.length;) {
    const from = sent;
    const count = insist(() => socket.send(bytes, from, bytes.length - from, flags));
    if (count === WOULD_BLOCK) throw new Error('the kernel did not take it all');
    sent += count;
  }
}

/** The result of one recv(2): a text, `''` at the end of the stream, undefined for would-block. */
export function receiveText(socket: Socket): string | undefined {
  const buffer = Buffer.alloc(65536);
  const count = insist(() => socket.recvInto(buffer));
  return count === WOULD_BLOCK ? undefined : buffer.toString('latin1', 0, count);
}

/** Sends until the kernel takes no more, and returns how much it took. */
export function fill(socket: Socket): number {
  const chunk = Buffer.alloc(65536, 'f');
  let total = 0;
  for (;;) {
    const count = insist(() => socket.send(chunk));
    if (count === WOULD_BLOCK) return total;
    total += count;
  }
}
