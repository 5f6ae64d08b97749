/// <reference types="node" preserve="true" />
/**
 * asynchia: real select, poll and epoll readiness on the operating system's descriptors, with
 * handlers that are subclassed.
 *
 * @packageDocumentation
 */
export * from './maps';
export * from './protocols';
export { AcceptHandler } from './handlers/accept-handler';
export type {
  Address,
  InetAddress,
  RawAddress,
  SocketAddress,
  UnixAddress,
} from './system/address-types';
export type { Data } from './system/arguments';
export type { ConstantName } from './system/constants';
export { constants, WOULD_BLOCK } from './system/constants';
export { InterruptedError, SocketMapClosedError, SystemError } from './system/errors';
export type { Handled, SocketMap } from './handlers/handler';
export { Handler } from './handlers/handler';
export { IOHandler } from './handlers/io-handler';
export type {
  CallbackInspection,
  HandlerInspection,
  LastEvent,
  MapInspection,
  Phase,
} from './handlers/inspection';
export { Notifier } from './notifier';
export type { HandlerClass } from './handlers/server';
export { Server } from './handlers/server';
export type { SocketRole } from './sockets/role';
export type { Accepted, SocketSurface } from './sockets/socket';
export { Socket, socketpair } from './sockets/socket';
export type { Timer } from './transport/loop';
export { Waker } from './sockets/waker';
