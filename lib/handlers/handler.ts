/** Handler: manages the I/O of one socket. What a user subclasses, directly or by its kinds. */
import util from 'node:util';

import { typeError } from '../arguments';
import { closedError, SocketMapClosedError, type SystemError } from '../errors';
import type { MapInspection } from '../inspection/shapes';
import type { Socket, SocketSurface } from '../sockets/socket';
import type { Waker } from '../sockets/waker';
import type { Timer } from '../timers';

import { describe } from './description';
import {
  awaitsOutput,
  entered,
  failure,
  flush,
  hasUntold,
  heldBytes,
  linger,
  registry,
  release,
  sendHeld,
  settleConnect,
  socketOf,
  state,
  State,
  tellHeld,
  unsentBytes,
  unwatched,
  watched,
} from './handler-state';
import { closeHandler, giveSocket, openSocket } from './life';
import type { Handled, Registry } from './registry';

export type { Handled };

/**
 * A socket map, as its handlers and its users know it: decides which handler has pending I/O, and
 * provides the main loop. Made as `SelectSocketMap`, `PollSocketMap`, `EpollSocketMap`, or the best
 * of them, `DefaultSocketMap`. asynchia's `SocketMap`.
 */
export interface SocketMap {
  /** @internal */
  readonly [registry]: Registry<Handler>;

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
  [state] = 0;
  /** @internal */
  [watched] = -1;
  /** @internal */
  [failure]: SystemError | undefined = undefined;
  /** @internal */
  [socketOf]: SocketSurface | undefined = undefined;
  readonly #socketMap: SocketMap;
  /**
   * Leaves the write side open when the peer ends its own: `handleEnd` is called, and `end` or
   * `close` is the handler's own. False unless a subclass sets it.
   */
  declare allowHalfOpen: boolean;

  static {
    // On the prototype, where it costs no handler memory.
    this.prototype.allowHalfOpen = false;
  }

  /**
   * With `sock`, the handler is in the map at once; without, it gets its socket when `bind` or
   * `connect` tells the family. Throws a `TypeError` for anything that is no map or no socket.
   */
  constructor(socketMap: SocketMap, sock?: SocketSurface) {
    const inner = (socketMap as SocketMap | undefined)?.[registry];
    if (inner === undefined) throw typeError('socketMap', socketMap, 'a SocketMap');
    this.#socketMap = socketMap;
    if (socketMap.closed) throw new SocketMapClosedError(`new ${this.constructor.name}`);
    if (sock === undefined) {
      inner.expect(this);
      return;
    }
    if (typeof (sock as Partial<Socket> | null)?.recvInto !== 'function') {
      throw typeError('sock', sock, 'a Socket');
    }
    this[state] = State.member;
    giveSocket(this, sock);
  }

  /** The map that the handler belongs to. */
  get socketMap(): SocketMap {
    return this.#socketMap;
  }

  /** The socket. Throws where there is none yet, or no longer. */
  get socket(): SocketSurface {
    return openSocket(this, 'socket');
  }

  /** Whether a connection stands. */
  get connected(): boolean {
    return (this[state] & (State.open | State.listening | State.closed)) === State.open;
  }

  /** Whether the handler is over: its descriptor is closed, and nothing will be called any more. */
  get closed(): boolean {
    return (this[state] & State.closed) !== 0;
  }

  /** Whether `handleRead` is wanted. */
  get readable(): boolean {
    return (this[state] & State.readable) !== 0;
  }

  /** Whether `handleWrite` is wanted. */
  get writable(): boolean {
    return (this[state] & State.writable) !== 0;
  }

  /** The descriptor's number; -1 where there is none yet, or no longer. */
  fileno(): number {
    return this[socketOf]?.fileno() ?? -1;
  }

  /** Asks for `handleRead` when there is something to read, or no longer. */
  setReadable(readable: boolean): void {
    this.#setInterest('readable', readable);
  }

  /**
   * Asks for `handleWrite` when a write would not block, or no longer. Where the connection breaks,
   * `handleClose` comes instead, where reading has paused too: what lies unread can be read there.
   */
  setWritable(writable: boolean): void {
    this.#setInterest('writable', writable);
  }

  /**
   * Closes the socket at once; what it does not take at once is dropped. `handleCleanup` is called
   * before this returns, `handleClose` is not. Closing again does nothing.
   */
  close(): void {
    closeHandler(this);
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

  /**
   * A callback threw, or its promise rejected. Prints the stack and goes on. What this throws comes
   * out of `poll` and `runSync`, or rejects `run()`.
   */
  handleError(error: unknown): Handled {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${this.constructor.name}: error in a callback: ${text}\n`);
  }

  /** @internal */
  [unsentBytes](): number {
    return 0;
  }
  /** @internal */
  [awaitsOutput](): boolean {
    return (this[state] & (State.writable | State.writeEnded)) === State.writable;
  }
  /** @internal */
  [hasUntold](): boolean {
    return false;
  }
  /** @internal */
  [heldBytes](): number {
    return 0;
  }
  /** @internal */
  [linger](): boolean {
    return false;
  }
  /** @internal */
  [flush](): Handled {}
  /** @internal */
  [sendHeld](): void {}
  /** @internal */
  [tellHeld](): void {}
  /** @internal */
  [entered](): void {}
  /** @internal */
  [release](): void {}

  /** @internal What `connect` came to: undefined where it stands. */
  [settleConnect](): SystemError | undefined {
    return undefined;
  }

  /** @internal */
  [unwatched](error: SystemError): void {
    this.#socketMap[registry].report(this, error);
    closeHandler(this);
  }

  /** What it is, where it stands, and its own fields. */
  [util.inspect.custom](depth: number, options: util.InspectOptions): string {
    return describe(this, depth, options);
  }

  #setInterest(name: 'readable' | 'writable', isWanted: boolean): void {
    if (typeof isWanted !== 'boolean') throw typeError(name, isWanted, 'a boolean');
    const isReading = name === 'readable';
    const bit = State[name];
    const before = this[state];
    if (before & State.closed) {
      throw closedError(isReading ? 'setReadable' : 'setWritable', this.constructor.name);
    }
    let after = isWanted ? before | bit : before & ~bit;
    if (after === before) return;
    // Whoever wants to read again is to hear of the end that it was spared while paused.
    if (isWanted && isReading) after &= ~(State.parked | State.hungUp);
    this[state] = after;
    if (after & State.member) {
      const inner = this.#socketMap[registry];
      inner.changed(this);
      if (after & (State.failed | State.hungUp)) inner.endLater(this);
    }
  }
}
