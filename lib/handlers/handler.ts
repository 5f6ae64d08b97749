/**
 * Handler: what a user subclasses for the I/O of one descriptor. And the socket map as handlers know
 * it, in the same file because each knows the other.
 */
import util from 'node:util';

import type { Socket, SocketSurface } from '../sockets/socket';
import type { Waker } from '../sockets/waker';
import { typeError } from '../system/arguments';
import { SocketMapClosedError, type SystemError } from '../system/errors';
import type { Handled } from '../transport/callbacks';
import { type Loop, loopOf, type Timer } from '../transport/loop';
import { Flag } from '../transport/phase';
import { StreamTransport } from '../transport/stream';
import type { Transport } from '../transport/transport';

import { describe } from './description';
import type { MapInspection } from './inspection';

export type { Handled };

/** The key under which a handler has its transport. */
export const transportOf: unique symbol = Symbol('transport');
/** The key of a method that makes it, called once by the constructor. */
export const makeTransport: unique symbol = Symbol('makeTransport');

/**
 * A socket map, as its handlers and its users know it: decides which handler has pending I/O, and
 * provides the main loop. Made as `SelectSocketMap`, `PollSocketMap`, `EpollSocketMap`, or the best
 * of them, `DefaultSocketMap`. asynchia's `SocketMap`.
 */
export interface SocketMap {
  /** @internal */
  readonly [loopOf]: Loop<Transport>;

  /** Which mechanism tells readiness: `'select'`, `'poll'`, `'epoll'`. */
  readonly backend: string;
  /** Whether the map is closed. */
  readonly closed: boolean;

  /**
   * Takes a handler in. Handlers do this themselves as soon as they have a socket; it is for one
   * that was taken out. Throws where the handler is in already, or closed, or another map's.
   */
  addHandler(handler: Handler): void;
  /**
   * Takes a handler out without closing it: it gets no callbacks until it is added again. Whoever
   * takes it out closes it; the map's `close` no longer does.
   */
  delHandler(handler: Handler): void;
  /** The same as `handler.setReadable(true)`. */
  addReader(handler: Handler): void;
  /** The same as `handler.setReadable(false)`. */
  delReader(handler: Handler): void;
  /** The same as `handler.setWritable(true)`. */
  addWriter(handler: Handler): void;
  /** The same as `handler.setWritable(false)`. */
  delWriter(handler: Handler): void;

  /**
   * One turn: waits until something is ready, dispatches it, runs what is due. Waits at most
   * `seconds` (omitted: without end). Returns how many descriptors' events it dispatched.
   */
  poll(seconds?: number): number;
  /** The main loop inside Node's own. Settles when the map is closed. */
  run(): Promise<void>;
  /** The main loop as asynchia has it: owns the thread until the map is closed. */
  runSync(): void;

  /** Calls `fn` once, `seconds` from now (0: in the next turn). */
  callIn(seconds: number, fn: () => void): Timer;
  /** Calls `fn` once at a time of the wall clock as it stands now, in seconds since 1970. */
  callAt(epochSeconds: number, fn: () => void): Timer;
  /** Calls `fn` in the next turn, and wakes the loop for it. */
  callSynchronized(fn: () => void): void;
  /** Makes the current or the next wait return at once. */
  wakeup(): void;
  /**
   * Makes what another thread can wake this map with. `fn` is called in the turn that a wake-up
   * brings (any waker's: look at what you share), until the waker that this returns is closed.
   */
  createWaker(fn?: () => void): Waker;

  /** Whether no handler is left. */
  isEmpty(): boolean;
  /** The map and each of its handlers, as they are now: at any time, from callbacks, and closed. */
  inspect(): MapInspection;
  /** Closes every handler, and the map. A second call does nothing. */
  close(): void;
  [Symbol.dispose](): void;
}

/**
 * Manages the I/O of one socket. Subclasses override the `handle*` methods they care about; what
 * one throws, or its promise rejects with, goes to `handleError`. asynchia's `Handler`.
 */
export class Handler {
  /** @internal */
  readonly [transportOf]: Transport;
  readonly #socketMap: SocketMap;
  /**
   * Keeps the handler's own side open when the peer ends: `handleEnd` is called, and `end` or `close`
   * is up to the handler. False unless a subclass sets it.
   */
  declare allowHalfOpen: boolean;

  static {
    // On the prototype, where it costs a handler no memory.
    this.prototype.allowHalfOpen = false;
  }

  /**
   * With `sock`, the handler is registered at once. Without, it gets its socket when `bind` or
   * `connect` is called with an address, whose family decides.
   *
   * @throws TypeError where `socketMap` is no map or `sock` no socket.
   * @throws SocketMapClosedError where the map is closed.
   */
  constructor(socketMap: SocketMap, sock?: SocketSurface) {
    const loop = (socketMap as SocketMap | undefined)?.[loopOf];
    if (loop === undefined) throw typeError('socketMap', socketMap, 'a SocketMap');
    this.#socketMap = socketMap;
    if (socketMap.closed) throw new SocketMapClosedError(`new ${this.constructor.name}`);
    const transport = this[makeTransport](loop);
    this[transportOf] = transport;
    if (sock === undefined) {
      loop.register(transport);
      return;
    }
    if (typeof (sock as Partial<Socket> | null)?.recvInto !== 'function') {
      throw typeError('sock', sock, 'a Socket');
    }
    transport.flags |= Flag.member;
    transport.attach(sock);
  }

  /** The map that the handler belongs to. */
  get socketMap(): SocketMap {
    return this.#socketMap;
  }

  /** The socket. Throws where there is none yet, or no longer. */
  get socket(): SocketSurface {
    return this[transportOf].openSocket('socket');
  }

  /** Whether a connection stands. */
  get connected(): boolean {
    return this[transportOf].isConnected;
  }

  /** Whether the handler is over: its descriptor is closed, and nothing will be called any more. */
  get closed(): boolean {
    return this[transportOf].isClosed;
  }

  /** Whether `handleRead` is wanted. */
  get readable(): boolean {
    return (this[transportOf].flags & Flag.readable) !== 0;
  }

  /** Whether `handleWrite` is wanted. */
  get writable(): boolean {
    return (this[transportOf].flags & Flag.writable) !== 0;
  }

  /** The descriptor's number; -1 where there is none yet, or no longer. */
  fileno(): number {
    return this[transportOf].socket?.fileno() ?? -1;
  }

  /** Asks for `handleRead` when there is something to read, or no longer. */
  setReadable(readable: boolean): void {
    this[transportOf].setReadable(readable);
  }

  /**
   * Asks for `handleWrite` when a write would not block, or no longer. Where the connection breaks,
   * `handleClose` comes instead, where reading has paused too: what lies unread can be read there.
   */
  setWritable(writable: boolean): void {
    this[transportOf].setWritable(writable);
  }

  /**
   * Closes the socket at once; what it does not take at once is dropped. `handleCleanup` is called
   * before this returns, `handleClose` is not. Closing again does nothing.
   */
  close(): void {
    this[transportOf].close();
  }

  /** There are bytes to read, or a connection to accept. */
  handleRead(): Handled {}
  /** A write would not block. */
  handleWrite(): Handled {}
  /**
   * Urgent data has come (`error` is undefined), or an error that left the connection standing.
   * Urgent data is told once, and again only after something was read.
   */
  handleExcept(_error?: SystemError): Handled {}
  /** `connect` has succeeded. */
  handleConnect(): Handled {}
  /** `connect` has failed; `handleCleanup` follows. */
  handleConnectFailed(_error: SystemError): Handled {}
  /**
   * With `allowHalfOpen`: the peer has ended its side, and all it sent was read. Called once; the
   * write side is the handler's to end.
   */
  handleEnd(): Handled {}
  /**
   * The remote end has closed, after all that it sent was read and all that was accepted for it was
   * sent; or the connection broke, with `error`. Once; the cleanup waits for what this has sent.
   */
  handleClose(_error?: SystemError): Handled {}
  /** No byte has moved for as long as an `IOHandler`'s `idleTimeout` says. */
  handleTimeout(): Handled {}
  /** The handler is over, whatever ended it. Called exactly once, and last. */
  handleCleanup(): Handled {}

  /** All that `sendAll` had to buffer is sent. Called after `sendAll` has returned false. */
  handleDrain(): Handled {}

  /**
   * A callback threw, or its promise rejected. Prints the stack and goes on. What this throws comes
   * out of `poll` and `runSync`, or rejects `run()`.
   */
  handleError(error: unknown): Handled {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${this.constructor.name}: error in a callback: ${text}\n`);
  }

  /** Prints its class, its descriptor, its phase, its address, and its own fields. */
  [util.inspect.custom](depth: number, options: util.InspectOptions): string {
    return describe(this, this[transportOf], depth, options);
  }

  /** @internal */
  [makeTransport](loop: Loop<Transport>): Transport {
    return new StreamTransport(loop, this);
  }
}
