/** The main loop: one for every backend. */
import { isMainThread } from 'node:worker_threads';

import { checkFunction, checkOptions, checkSeconds, typeError } from './arguments';
import type { NativeBackend } from './binding';
import { binding, Control } from './binding';
import { dispatch } from './dispatch';
import { checked, SocketMapClosedError, SystemError } from './errors';
import type { SocketMap } from './handler';
import { Handler } from './handler';
import { registry, state, State } from './handler-state';
import { HandlerTable } from './handler-table';
import { Lookups } from './lookups';
import type { Notifier } from './notifier';
import { notifierFrom } from './notifier';
import { POLLIN } from './readiness';
import type { Timer } from './timers';
import { TimerQueue } from './timers';
import { Waker } from './waker';

/** How a map is made. */
export interface SocketMapOptions {
  /** Stands between the map and its handlers, in place of a plain `Notifier`. */
  readonly notifier?: Notifier;
}

/** How many ready descriptors a turn takes from the backend at most; the rest come in the next. */
const BATCH = 1024;

/** The one loop that dispatches. A map class only names its backend. */
export abstract class BaseSocketMap implements SocketMap {
  /** @internal */
  readonly [registry]: HandlerTable;
  readonly backend: string;
  readonly #backend: NativeBackend;
  readonly #notifier: Notifier;
  readonly #timers = new TimerQueue();
  readonly #lookups = new Lookups(() => this.#wakeupFd());
  readonly #ready = new Int32Array(2 * BATCH);
  readonly #control = new Float64Array(Control.fields);
  #calls: (() => void)[] = [];
  #isWoken = false;
  #isClosed = false;
  /** An eventfd(2), made when another thread or a look-up first needs it. */
  #wakeup = -1;
  /** Tells a thread that blocks here that it is to be terminated. */
  #interrupt = -1;
  #running: { resolve: () => void; reject: (error: unknown) => void } | undefined;

  /** `name` is one that the addon knows. Throws a `SystemError` where the kernel does not have it. */
  protected constructor(name: string, options: SocketMapOptions = {}) {
    checkOptions(options, ['notifier']);
    this.#notifier = notifierFrom(options['notifier']);
    const backend = binding.createBackend(name);
    if (typeof backend === 'number') throw new SystemError(`${name} set-up`, backend);
    this.backend = name;
    this.#backend = backend;
    this[registry] = new HandlerTable(backend, this.#notifier, {
      attend: () => {
        this.#attend();
      },
      resolve: (hostname, done) => {
        this.#lookups.start(hostname, done);
      },
    });
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  addHandler(handler: Handler): void {
    const bits = this.#ours(handler)[state];
    if (this.#isClosed) throw new SocketMapClosedError('addHandler');
    if (bits & State.closed) throw new Error('addHandler: this handler is closed');
    if (bits & State.registered) throw new Error('addHandler: this handler is in the map already');
    if (handler.fileno() < 0) this[registry].expect(handler);
    else this[registry].add(handler);
  }

  delHandler(handler: Handler): void {
    this[registry].delete(this.#ours(handler));
  }

  addReader(handler: Handler): void {
    this.#ours(handler).setReadable(true);
  }

  delReader(handler: Handler): void {
    this.#ours(handler).setReadable(false);
  }

  addWriter(handler: Handler): void {
    this.#ours(handler).setWritable(true);
  }

  delWriter(handler: Handler): void {
    this.#ours(handler).setWritable(false);
  }

  poll(seconds = Infinity): number {
    checkSeconds('seconds', seconds, true);
    this.#assertIdle('poll');
    this.#watchInterrupt();
    this.#prepare();
    const untilTurnMs = (this.#control[Control.turnAtMs] ?? 0) - binding.monotonicMs();
    const timeoutMs = Math.max(0, Math.min(seconds * 1000, untilTurnMs));
    return this.#turn(this.#backend.wait(timeoutMs, this.#ready));
  }

  runSync(): void {
    this.#assertIdle('runSync');
    do this.poll();
    while (!this.#isClosed);
  }

  async run(): Promise<void> {
    this.#assertIdle('run');
    await new Promise<void>((resolve, reject) => {
      const result = this.#backend.joinLoop(
        this.#ready,
        this.#control,
        () => {
          this.#prepare();
        },
        (count) => {
          this.#guestTurn(count);
        },
      );
      checked(`${this.backend} registration`, result);
      this.#running = { resolve, reject };
      this.#attend();
    });
  }

  callIn(seconds: number, fn: () => void): Timer {
    checkSeconds('seconds', seconds);
    checkFunction('fn', fn);
    if (this.#isClosed) throw new SocketMapClosedError('callIn');
    this.#attend();
    return this.#timers.add(binding.monotonicMs() + seconds * 1000, fn);
  }

  callAt(epochSeconds: number, fn: () => void): Timer {
    if (typeof epochSeconds !== 'number') {
      throw typeError('epochSeconds', epochSeconds, 'a number of seconds since 1970');
    }
    checkSeconds('epochSeconds', epochSeconds);
    return this.callIn(Math.max(0, epochSeconds - Date.now() / 1000), fn);
  }

  callSynchronized(fn: () => void): void {
    checkFunction('fn', fn);
    if (this.#isClosed) throw new SocketMapClosedError('callSynchronized');
    this.#calls.push(fn);
    this.#attend();
  }

  wakeup(): void {
    if (this.#isClosed) throw new SocketMapClosedError('wakeup');
    this.#isWoken = true;
    this.#attend();
  }

  createWaker(): Waker {
    if (this.#isClosed) throw new SocketMapClosedError('createWaker');
    return new Waker({ descriptor: checked('dup', binding.duplicate(this.#wakeupFd())) });
  }

  isEmpty(): boolean {
    return this[registry].isEmpty;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const table = this[registry];
    table.closeAll();
    this.#timers.clear();
    this.#lookups.clear();
    this.#calls = [];
    this.#backend.close();
    for (const fd of [this.#wakeup, this.#interrupt]) if (fd >= 0) binding.close(fd);
    // A turn that is under way ends in its own time, and tells what it has raised.
    if (table.isDispatching) return;
    if (this.#running === undefined) table.throwRaised();
    else this.#leaveLoop();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Everything but the waiting: dispatches what a wait brought, and runs what is due. */
  #turn(count: number): number {
    if (count < 0) throw new SystemError(`${this.backend} wait`, count);
    const table = this[registry];
    table.turn++;
    table.isDispatching = true;
    this.#isWoken = false;
    // What callbacks of this turn ask for is for the next.
    const calls = this.#calls;
    if (calls.length > 0) this.#calls = [];
    const timersEnd = this.#timers.nextSequence;
    const dispatched = this.#dispatchReady(count);
    this.#guard(() => {
      table.dispatchPending();
    });
    if (this.#timers.nextAtMs < Infinity) {
      this.#timers.runDue(binding.monotonicMs(), timersEnd, (fn) => {
        this.#guard(fn);
      });
    }
    for (const fn of calls) if (!this.#isClosed) this.#guard(fn);
    table.isDispatching = false;
    if (!this.#isClosed) this.#prepare();
    table.throwRaised();
    return dispatched;
  }

  #dispatchReady(count: number): number {
    const table = this[registry];
    const ready = this.#ready;
    let dispatched = 0;
    for (let i = 0; i < 2 * count && !this.#isClosed; i += 2) {
      const fd = ready[i] ?? -1;
      const handler = table.recipient(fd);
      if (handler === undefined) {
        this.#drain(fd);
        continue;
      }
      dispatched++;
      try {
        dispatch(handler, ready[i + 1] ?? 0, this.#notifier);
        table.flushOutput();
      } catch (error) {
        table.raise(error);
      }
    }
    return dispatched;
  }

  /** Calls what is nobody's callback: an error of it comes out of the loop. */
  #guard(fn: () => void): void {
    const table = this[registry];
    try {
      fn();
      table.flushOutput();
    } catch (error) {
      table.raise(error);
    }
  }

  /** Brings the backend and the native loop up to date for the next wait. */
  #prepare(): void {
    const table = this[registry];
    table.flushChanges();
    const isDue = this.#isWoken || this.#calls.length > 0 || table.hasPending;
    this.#control[Control.turnAtMs] = isDue ? 0 : this.#timers.nextAtMs;
    this.#control[Control.hasChanges] = 0;
  }

  /** Something has changed that the next wait must know of. */
  #attend(): void {
    this.#control[Control.hasChanges] = 1;
  }

  #guestTurn(count: number): void {
    try {
      this.#turn(count);
      if (this.#isClosed) this.#leaveLoop();
    } catch (error) {
      this.#leaveLoop(error);
    }
  }

  /** Ends `run()`; with an error, by rejecting it. */
  #leaveLoop(...errors: [] | [unknown]): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#backend.leaveLoop();
    if (errors.length > 0) running.reject(errors[0]);
    else running.resolve();
  }

  /** Takes what makes one of the map's own descriptors ready. */
  #drain(fd: number): void {
    if (fd === this.#wakeup) {
      binding.drainWakeup(fd);
      this.#lookups.check();
    } else if (fd === this.#interrupt) {
      binding.drainInterrupt(fd);
    }
  }

  #wakeupFd(): number {
    if (this.#wakeup < 0) this.#wakeup = this.#watch('eventfd', binding.createWakeup());
    return this.#wakeup;
  }

  /** Has to be told to a worker that blocks here: libuv's loop, which is told, does not run. */
  #watchInterrupt(): void {
    if (isMainThread || this.#interrupt >= 0) return;
    this.#interrupt = this.#watch('epoll_create1', binding.createInterrupt());
  }

  #watch(syscall: string, fd: number): number {
    checked(syscall, fd);
    checked(`${this.backend} registration`, this.#backend.add(fd, POLLIN));
    return fd;
  }

  #ours(handler: Handler): Handler {
    if (!(handler instanceof Handler)) throw typeError('handler', handler, 'a Handler');
    if (handler.socketMap !== this) {
      throw typeError('handler', handler, 'a Handler that was made for this map');
    }
    return handler;
  }

  #assertIdle(method: string): void {
    if (this.#isClosed) throw new SocketMapClosedError(method);
    if (this[registry].isDispatching) {
      throw new Error(`${method}: called inside a callback of the same map, whose loop is running`);
    }
    if (this.#running !== undefined) {
      throw new Error(`${method}: this map is running already`);
    }
  }
}
