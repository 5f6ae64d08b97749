/**
 * asynchia: real select, poll and epoll readiness on the operating system's descriptors, with
 * handlers that are subclassed.
 *
 * @packageDocumentation
 */
export { AcceptHandler } from './acceptor';
export type { Address, InetAddress, SocketAddress, UnixAddress } from './address-types';
export type { Data } from './arguments';
export type { ConstantName } from './constants';
export { constants, WOULD_BLOCK } from './constants';
export { SocketMapClosedError, SystemError } from './errors';
export type { Handled, SocketMap } from './handler';
export { Handler } from './handler';
export { IOHandler } from './io-handler';
export { Notifier } from './notifier';
export type { HandlerClass } from './server';
export { Server } from './server';
export type { Accepted, SocketRole, SocketSurface } from './socket';
export { Socket, socketpair } from './socket';
export type { Timer } from './timers';
export { Waker } from './waker';
