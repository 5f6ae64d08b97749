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
import { Flag, Phase } from '../transport/phase';
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
 * Decides which handlers have pending I/O, and provides the main loop. asynchia's `SocketMap`. Made
 * as `EpollSocketMap`, `PollSocketMap` or `SelectSocketMap`; `DefaultSocketMap` is the best of them
 * that the kernel offers. All times are in seconds.
 */
export interface SocketMap {
  /** @internal */
  readonly [loopOf]: Loop<Transport>;

  /** The mechanism: `'select'`, `'poll'` or `'epoll'`; `'sim'` for a simulated map. */
  readonly backend: string;
  /** Whether `close` was called. */
  readonly closed: boolean;

  /**
   * Registers a handler again after `delHandler`. A new handler registers itself. What happened in
   * the meantime (an end, a failed connection, buffered output that was sent) is reported in the
   * next iteration.
   *
   * @throws `TypeError` if it was made for another map; `Error` if it is registered already, is
   * closed, or its descriptor is registered with another handler; `SocketMapClosedError`.
   */
  addHandler(handler: Handler): void;
  /**
   * Deregisters a handler without closing it: it gets no callbacks until `addHandler`, and the
   * map's `close` does not close it. Does nothing if the handler is not registered.
   *
   * @throws `TypeError` if it was made for another map.
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
   * Makes one iteration of the loop: waits until a descriptor is ready, calls the handlers, then
   * the timers and synchronized calls that are due. It blocks the thread while it waits.
   *
   * @param seconds - The longest wait, 0 or more; without limit if omitted. 0 does not wait. A
   * timer or a call that is due ends the wait earlier. It is as exact as the kernel's clock, and
   * never too short.
   * @returns How many ready descriptors were dispatched; 0 if the time passed.
   * @throws `SocketMapClosedError`; `Error` inside a callback of the same map, or while `run()` is
   * under way; `TypeError` or `RangeError` for `seconds`; on the main thread `InterruptedError` at
   * SIGINT, if neither `process.on` nor `addSignalHandler` handles it. Then what a `handleError`, a timer or a
   * synchronized call has thrown: several errors as an `AggregateError`.
   */
  poll(seconds?: number): number;
  /**
   * Runs the main loop inside Node's own loop, until the map is closed. Promises, streams, timers
   * and signals of Node work meanwhile. A running map keeps the process alive. Its timers, like
   * Node's, may be up to a millisecond late beside them, and are never early.
   *
   * @returns A promise that is fulfilled when the map is closed. It rejects with what a
   * `handleError`, a timer or a synchronized call has thrown, and with what `poll` throws for a
   * call at the wrong time. libuv does the waiting, in whole milliseconds: timers run up to one
   * later than under `poll`.
   */
  run(): Promise<void>;
  /**
   * Runs the main loop and blocks the thread until the map is closed, as asynchia's `run` does. No
   * promise, stream or timer of Node is served meanwhile. `process.on` listeners for signals are.
   *
   * @throws The same as `poll`.
   */
  runSync(): void;

  /**
   * Calls a function once after a delay, never early, in the asynchronous context
   * (`AsyncLocalStorage`) of its caller, as the other functions that are given to a map. Equal deadlines are called in the order of
   * creation. asynchia's `call_in`.
   *
   * @param seconds - The delay, finite. 0, or a negative one: in the next iteration.
   * @param fn - What it throws comes out of `poll` or `runSync`, or rejects `run()`.
   * @returns A timer that can be cancelled. The map's `close` cancels it.
   * @throws `TypeError` or `RangeError` for an argument; `SocketMapClosedError`, but not in a
   * `handleCleanup` of a map that is closing, where the call is dropped.
   */
  callIn(seconds: number, fn: () => void): Timer;
  /**
   * Calls a function once at a time of day. The delay is computed now: a later change of the wall
   * clock has no effect.
   *
   * @param epochSeconds - Seconds since 1970 (`Date.now() / 1000`), finite. A time in the past: in
   * the next iteration.
   * @param fn - As for `callIn`.
   * @returns A timer that can be cancelled.
   * @throws The same as `callIn`.
   */
  callAt(epochSeconds: number, fn: () => void): Timer;
  /**
   * Calls a function in the next iteration, and wakes the loop for it. asynchia's
   * `call_synchronized`. Calls are made in order; those still waiting when the map is closed are
   * dropped.
   *
   * @param fn - As for `callIn`.
   * @throws `TypeError` if it is no function; `SocketMapClosedError`, as `callIn` does.
   */
  callSynchronized(fn: () => void): void;
  /**
   * Makes the current or the next wait return at once. For another thread, see `createWaker`.
   *
   * @throws `SocketMapClosedError`.
   */
  wakeup(): void;
  /**
   * Makes a `Waker`, with which another thread wakes this map: post it with `postMessage`.
   *
   * @param fn - Called in the iteration that a wake-up causes, until the returned waker is closed.
   * All wakers of a map share one signal: the functions of all of them are called, so check the
   * shared data.
   * @returns The waker, for `postMessage`.
   * @throws `TypeError` if `fn` is no function; `SocketMapClosedError`; `SystemError`: `EMFILE` if
   * there is no free descriptor, `ENOSYS` on a simulated map.
   */
  createWaker(fn?: () => void): Waker;

  /**
   * Has `fn` called in the loop when the process gets a signal, in `run()`, `runSync()` and `poll()`
   * alike; the default action does not happen. asyncio's `add_signal_handler`.
   *
   * @param signal - Its name or number: `'SIGTERM'`, 15. sigaction(2)
   * @param fn - Takes the place of the function that was added before for the signal. What it
   * throws comes out of `poll` or `runSync`, or rejects `run()`.
   * @throws `TypeError` or `RangeError` for an argument; `SystemError`: `EINVAL` if the signal
   * cannot be caught (SIGKILL, SIGSTOP), `ENOSYS` on a simulated map; `SocketMapClosedError`.
   */
  addSignalHandler(signal: NodeJS.Signals | number, fn: () => void): void;

  /**
   * Ends the handling of a signal. asyncio's `remove_signal_handler`. A map that is closed handles
   * none.
   *
   * @param signal - Its name or number.
   * @returns Whether there was a function for it.
   * @throws `TypeError` or `RangeError` if there is no such signal.
   */
  removeSignalHandler(signal: NodeJS.Signals | number): boolean;

  /**
   * Whether no handler is registered.
   *
   * @returns true also after `close`; timers and calls do not count.
   */
  isEmpty(): boolean;
  /**
   * Describes the map and each of its handlers as plain data. Allowed at any time: inside
   * callbacks, and on a closed map. Counts and times are there only if the map is observed (see
   * `MapInspection`).
   *
   * @returns A snapshot that keeps nothing alive.
   */
  inspect(): MapInspection;
  /**
   * Closes every registered handler, each with its `handleCleanup`, then the map. Timers,
   * synchronized calls and name look-ups are dropped; `run` and `runSync` end. Allowed inside
   * callbacks. A second call does nothing.
   *
   * @throws What a `handleError` has thrown meanwhile. Inside a callback it comes out of `poll` or
   * `runSync`, or rejects `run()` instead.
   */
  close(): void;
  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void;
}

/**
 * Manages the I/O of one socket or other descriptor. asynchia's `Handler`.
 *
 * Subclasses override the `handle*` callbacks that they need. All are called in the asynchronous
 * context (`AsyncLocalStorage`) in which the handler was made. What a callback throws, or its
 * promise rejects with, goes to `handleError`. The order of the callbacks is: `handleConnect` (or
 * `handleConnectFailed`), then `handleExcept`, `handleRead` and `handleWrite` any number of times,
 * then `handleClose` if the remote end closed, then `handleCleanup` in every case.
 */
export class Handler {
  /** @internal */
  readonly [transportOf]: Transport;
  readonly #socketMap: SocketMap;
  /**
   * Whether the write side stays open when the peer ends its own. If true, `handleEnd` is called
   * then, and the handler has to call `end`, `shutdown(SHUT_WR)` or `close`. If false, the default,
   * the handler sends what is buffered, then `handleClose` and `handleCleanup` follow.
   */
  declare allowHalfOpen: boolean;

  static {
    // On the prototype, where it costs a handler no memory.
    this.prototype.allowHalfOpen = false;
  }

  /**
   * Makes a handler of a map.
   *
   * @param socketMap - The map that calls the handler.
   * @param sock - The socket, which the handler owns from now on: it is added to the map at once.
   * If omitted, `bind` or `connect` makes the socket.
   * @throws `TypeError` if an argument is no map or no socket, or the socket belongs to a simulated
   * map and the map does not, or the reverse; `SocketMapClosedError` if the map is closed;
   * `SystemError` (`EBADF`) if the socket is closed; `Error` if another handler of the map has the
   * socket.
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

  /** The map that the handler was made for. It stays the same after `delHandler` and `close`. */
  get socketMap(): SocketMap {
    return this.#socketMap;
  }

  /**
   * The socket.
   *
   * @throws `Error` with the code `ERR_NO_SOCKET` before `bind` or `connect` has made it, and
   * `ERR_CLOSED` after the handler was closed.
   */
  get socket(): SocketSurface {
    return this[transportOf].openSocket('socket');
  }

  /**
   * Whether the handler has a connection: false before `handleConnect`, for a listener, and when
   * closed.
   */
  get connected(): boolean {
    return this[transportOf].isConnected;
  }

  /**
   * Whether the handler is closed: its descriptor is closed, and no callback but `handleCleanup`
   * comes.
   */
  get closed(): boolean {
    return this[transportOf].isClosed;
  }

  /**
   * Whether the handler wants `handleRead`: the last value given to `setReadable`; false at first
   * (true for a `LineHandler`), and when nothing can come any more: the peer has ended its side, after `end` or
   * `shutdown(SHUT_RD)`, and when the handler is closed or about to close.
   */
  get readable(): boolean {
    return this[transportOf].wantsInput;
  }

  /**
   * Whether the handler wants `handleWrite`: the last value given to `setWritable`; false at first,
   * and when nothing can be sent any more: after `shutdown(SHUT_WR)`, and when the handler is closed
   * or about to close. A `BufferedWriteHandler` also sets it while output is buffered.
   */
  get writable(): boolean {
    return this[transportOf].wantsOutput;
  }

  /**
   * The descriptor's number, as in Python.
   *
   * @returns The number; -1 if there is no socket yet, or the handler is closed.
   */
  fileno(): number {
    return this[transportOf].socket?.fileno() ?? -1;
  }

  /**
   * Starts or pauses reading. While it is paused, `handleRead` is not called, and the end of the
   * stream is not reported before the unread bytes are read. If nothing is unread, `handleClose`
   * comes also while reading is paused.
   *
   * @param readable - true: call `handleRead` whenever there is something to read.
   * @throws `TypeError` if it is no boolean; `Error` with the code `ERR_CLOSED` on a closed
   * handler.
   */
  setReadable(readable: boolean): void {
    this[transportOf].setReadable(readable);
  }

  /**
   * Starts or stops `handleWrite`. It is called in every iteration in which a write would not
   * block, so stop it when there is nothing to write. If the connection breaks, `handleClose` comes
   * instead, also while reading is paused: the unread bytes can be read there.
   *
   * @param writable - true: call `handleWrite` whenever a write would not block.
   * @throws `TypeError` if it is no boolean; `Error` with the code `ERR_CLOSED` on a closed
   * handler.
   */
  setWritable(writable: boolean): void {
    this[transportOf].setWritable(writable);
  }

  /**
   * Says that the descriptor was read by means of its own (another library's call, `fs.readSync`),
   * which the map does not see. What is still there is then reported again: the end of the stream
   * to a paused handler, urgent data. An `IOHandler`'s own calls say it themselves.
   *
   * @throws `Error` with the code `ERR_CLOSED` or `ERR_NO_SOCKET`.
   */
  noteRead(): void {
    this[transportOf].noteRead();
  }

  /**
   * Closes the socket at once and removes the handler from the map. Buffered output is sent only as
   * far as the socket takes it without waiting; `BufferedWriteHandler.end` sends all.
   * `handleCleanup` is called before this returns; `handleClose` is not called. A second call does
   * nothing.
   */
  close(): void {
    this[transportOf].close();
  }

  /**
   * Called when there are bytes to read (or, for a listener, a connection to accept) and the
   * handler is readable; not for the bare end of the stream. It is called again in the next
   * iteration while unread bytes remain.
   */
  handleRead(): Handled {}
  /** Called when a write would not block and the handler is writable. */
  handleWrite(): Handled {}
  /**
   * Called when urgent data has arrived (tcp(7), MSG_OOB), for a change notification (POLLPRI of
   * `/proc/self/mountinfo`, cgroup.events, a GPIO's value), or for an error that left the
   * connection standing. The first two are watched for only if a subclass overrides this method.
   * Urgent data is reported once, and again only after something was read; a notification as often
   * as the kernel reports it: some do until the file is read again from its beginning.
   *
   * @param _error - The error; undefined for urgent data.
   */
  handleExcept(_error?: SystemError): Handled {}
  /**
   * Called once when `connect` has succeeded. Not called for a socket that was already connected.
   */
  handleConnect(): Handled {}
  /**
   * Called once when `connect` has failed, after every address of a host name was tried.
   * `handleCleanup` follows.
   *
   * @param _error - The failure of the last address: `ECONNREFUSED`, `ENETUNREACH`, `ETIMEDOUT`; or
   * of the name look-up: `ENOTFOUND`, `EAI_AGAIN`.
   */
  handleConnectFailed(_error: SystemError): Handled {}
  /**
   * Called once, and only with `allowHalfOpen`, when the peer has ended its side and all that it
   * sent was read. The write side stays open until the handler calls `end` or `close`, or
   * `shutdown(SHUT_WR)`: then both sides are over, and `handleClose` and `handleCleanup` follow, as
   * they do where the handler had shut down its own side first. Not called after `end`, nor where
   * the connection broke.
   */
  handleEnd(): Handled {}
  /**
   * Called at most once: when the remote end has closed, all that it sent was read and all buffered
   * output was sent; or when the connection broke. `close()` of our own does not lead here. Bytes
   * that lie unread after an error can be read here. `handleCleanup` follows, after what this
   * method has sent.
   *
   * @param _error - What broke the connection: `ECONNRESET`, `EPIPE`; undefined for an orderly end.
   */
  handleClose(_error?: SystemError): Handled {}
  /** Called when no byte has moved for `idleTimeoutSeconds`. See `IOHandler.idleTimeoutSeconds`. */
  handleTimeout(): Handled {}
  /**
   * Called exactly once, and last, whatever ended the handler: the remote end, `close()` or the
   * map's `close()`. The descriptor is closed and out of the map by then.
   */
  handleCleanup(): Handled {}

  /** All that `sendAll` had to buffer is sent. Called after `sendAll` has returned false. */
  handleDrain(): Handled {}

  /**
   * Called with what a callback has thrown, or its promise has rejected with. Prints the stack to
   * stderr and closes the handler; a listener stays open. An override decides for itself. What it
   * throws comes out of `poll` and `runSync`, or rejects `run()`. If it leaves the handler open, and
   * callbacks raise turn after turn without anything read, sent or accepted, the handler is paused
   * with a `StuckHandlerWarning` (`process.emitWarning`, code `ASYNCHIA_STUCK_HANDLER`).
   *
   * @param error - What was thrown.
   */
  handleError(error: unknown): Handled {
    // eslint-disable-next-line no-console -- where programs look for it, and redirect it
    console.error('%s: error in a callback:', this.constructor.name, error);
    const transport = this[transportOf];
    if (transport.phase !== Phase.listening) transport.close();
  }

  /** For `util.inspect`: class, descriptor, state and peer, then the handler's own fields. */
  [util.inspect.custom](depth: number, options: util.InspectOptions): string {
    return describe(this, this[transportOf], depth, options);
  }

  /** @internal */
  [makeTransport](loop: Loop<Transport>): Transport {
    return new StreamTransport(loop, this);
  }
}

/** Whether an accessor was called on the prototype of a class, which is no handler. */
export function isPrototype(handler: object): boolean {
  return (handler as Partial<Handler>)[transportOf] === undefined;
}

/** What a class sets on its prototype hides the accessor, as a field does. */
export function setOnPrototype(prototype: object, name: string, value: unknown): void {
  Object.defineProperty(prototype, name, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
}

/** The handler of a map's transport. */
export function handlerOf({ owner }: Transport): Handler {
  if (owner instanceof Handler) return owner;
  throw new Error('this transport has no handler');
}
