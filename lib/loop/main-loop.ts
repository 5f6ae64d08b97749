/** The main loop: the one that dispatches, whatever the backend. */
import { isMainThread } from 'node:worker_threads';

import { checked, SystemError } from '../errors';
import type { Kernel, LoopBackend } from '../kernel';
import { Control } from '../kernel';
import type { Notifier } from '../notifier';
import { POLLIN } from '../readiness';
import type { LookupResult } from '../sockets/lookups';
import { Lookups } from '../sockets/lookups';
import { Waker } from '../sockets/waker';
import type { Timer } from '../timers';
import { TimerQueue } from '../timers';

import { dispatch } from './dispatch';
import { HandlerTable } from './handler-table';

/** Makes the table of a loop. */
export type TableMaker = (...parts: ConstructorParameters<typeof HandlerTable>) => HandlerTable;

/** How many ready descriptors a turn takes from the backend at most; the rest come in the next. */
const BATCH = 1024;

export class MainLoop {
  readonly table: HandlerTable;
  isClosed = false;
  /** When it was made, by the kernel's clock. */
  readonly startedAtMs: number;
  /** Descriptors that were dispatched. */
  events = 0;
  /** What a wait reported of descriptors that were closed, or taken out, by then. */
  staleEvents = 0;
  /** How often somebody woke the loop. */
  wakeups = 0;
  readonly #kernel: Kernel;
  readonly #backend: LoopBackend;
  readonly #notifier: Notifier;
  readonly #timers = new TimerQueue();
  readonly #lookups: Lookups;
  /** What wake-ups from other threads call: for each waker one, though it may be the same function. */
  readonly #wakeListeners = new Set<{ readonly fn: () => void }>();
  readonly #ready = new Int32Array(2 * BATCH);
  readonly #control = new Float64Array(Control.fields);
  #calls: (() => void)[] = [];
  /** A turn is under way; a callback (`table.isDispatching`) may also run outside of one. */
  #isInTurn = false;
  #isWoken = false;
  /** The loop's own descriptors, and what makes each no longer ready. */
  readonly #own = new Map<number, () => void>();
  /** An eventfd(2), made when another thread or a look-up first needs it. */
  #wakeup = -1;
  /** Tells a thread that blocks here that it is to be terminated. */
  #interrupt = -1;
  /** While Node's loop does the waiting. */
  #running: { resolve: () => void; reject: (error: unknown) => void } | undefined;

  /** Throws a `SystemError` where the kernel has no backend of that name. */
  constructor(
    kernel: Kernel,
    name: string,
    notifier: Notifier,
    makeTable: TableMaker = (...parts) => new HandlerTable(...parts),
  ) {
    const backend = kernel.createBackend(name);
    if (typeof backend === 'number') throw new SystemError(`${name} set-up`, backend);
    this.#kernel = kernel;
    this.startedAtMs = kernel.monotonicMs();
    this.#backend = backend;
    this.#notifier = notifier;
    this.#lookups = new Lookups(kernel, () => this.#wakeupFd());
    this.table = makeTable(kernel, backend, notifier, this);
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  get nowMs(): number {
    return this.#kernel.monotonicMs();
  }

  /** One turn, with a wait of at most `seconds`. Returns how many descriptors it dispatched. */
  poll(seconds: number): number {
    this.#watchInterrupt();
    this.#prepare();
    if (this.isClosed) return 0;
    const endMs = this.#kernel.monotonicMs() + seconds * 1000;
    const turnAtMs = Math.min(endMs, this.#control[Control.turnAtMs] ?? 0);
    for (;;) {
      const timeoutMs = Math.max(0, turnAtMs - this.#kernel.monotonicMs());
      const count = this.#backend.wait(timeoutMs, this.#ready);
      // Coming back to JavaScript is all that termination needs; any message interrupts, too.
      if (count !== 1 || this.#ready[0] !== this.#interrupt) return this.#turn(count);
      this.#kernel.drainInterrupt(this.#interrupt);
    }
  }

  /** Has Node's loop do the waiting, until the map is closed or something comes out of a turn. */
  run(): Promise<void> {
    return new Promise<void>((resolve, reject) => {
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
      checked(`${this.#backend.name} registration`, result);
      this.#running = { resolve, reject };
      this.attend();
    });
  }

  addTimer(seconds: number, fn: () => void): Timer {
    this.attend();
    return this.#timers.add(this.#kernel.monotonicMs() + seconds * 1000, fn);
  }

  addCall(fn: () => void): void {
    this.#calls.push(fn);
    this.attend();
  }

  wake(): void {
    this.wakeups++;
    this.#isWoken = true;
    this.attend();
  }

  /** Something has changed that the next wait must know of. */
  attend(): void {
    this.#control[Control.hasChanges] = 1;
  }

  resolve(hostname: string, done: (result: LookupResult) => void): void {
    this.#lookups.start(hostname, done);
  }

  /** What another thread wakes this loop with; `fn` is called in the turn it brings. */
  addWakeup(fn: () => void): Waker {
    const fd = checked('dup', this.#kernel.duplicate(this.#wakeupFd()));
    const listener = { fn };
    this.#wakeListeners.add(listener);
    return Waker.of(fd, () => this.#wakeListeners.delete(listener));
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.table.closeAll();
    this.#timers.clear();
    this.#lookups.clear();
    this.#calls = [];
    this.#backend.close();
    for (const fd of this.#own.keys()) this.#kernel.close(fd);
    // A turn that is under way ends in its own time, and tells what it has raised.
    if (this.#isInTurn) return;
    if (this.#running === undefined) this.table.throwRaised();
    else this.#leave();
  }

  /** Everything but the waiting: dispatches what a wait brought, and runs what is due. */
  #turn(count: number): number {
    if (count < 0) throw new SystemError(`${this.#backend.name} wait`, count);
    const { table } = this;
    table.beginTurn(this.#ready, count);
    this.#isInTurn = true;
    this.#isWoken = false;
    // What callbacks of this turn ask for is for the next.
    const callCount = this.#calls.length;
    const timersEnd = this.#timers.nextSequence;
    const dispatched = this.#dispatchReady(count);
    this.events += dispatched;
    this.#guard(() => {
      // A drain that is owed is told before an end that is.
      table.flushOutput();
      table.dispatchPending();
    });
    if (this.#timers.nextAtMs < Infinity) {
      this.#timers.runDue(this.#kernel.monotonicMs(), timersEnd, (fn) => {
        this.#guard(fn);
      });
    }
    if (callCount > 0) this.#runCalls(callCount);
    table.isDispatching = false;
    this.#isInTurn = false;
    if (!this.isClosed) this.#prepare();
    table.throwRaised();
    return dispatched;
  }

  #dispatchReady(count: number): number {
    const { table } = this;
    const ready = this.#ready;
    let dispatched = 0;
    for (let i = 0; i < 2 * count && !this.isClosed; i += 2) {
      const fd = ready[i] ?? -1;
      const handler = table.recipient(fd);
      if (handler === undefined) {
        const drain = this.#own.get(fd);
        if (drain === undefined) this.staleEvents++;
        else this.#guard(drain);
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

  /** Runs what was asked for before this turn. */
  #runCalls(count: number): void {
    for (const fn of this.#calls.splice(0, count)) {
      if (!this.isClosed) this.#guard(fn);
    }
  }

  /** Calls what is nobody's callback: an error of it comes out of the loop. */
  #guard(fn: () => void): void {
    try {
      fn();
      this.table.flushOutput();
    } catch (error) {
      this.table.raise(error);
    }
  }

  /** Brings the backend and the native loop up to date for the next wait. */
  #prepare(): void {
    this.table.flushChanges();
    this.table.stamp();
    const isDue = this.#isWoken || this.#calls.length > 0 || this.table.hasPending;
    this.#control[Control.turnAtMs] = isDue ? 0 : this.#timers.nextAtMs;
    this.#control[Control.hasChanges] = 0;
  }

  #guestTurn(count: number): void {
    try {
      this.#turn(count);
      if (this.isClosed) this.#leave();
    } catch (error) {
      this.table.raise(error);
      this.#leave();
    }
  }

  /** Takes the waiting back from Node's loop, and settles `run`. */
  #leave(): void {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#backend.leaveLoop();
    try {
      this.table.throwRaised();
      running.resolve();
    } catch (error) {
      running.reject(error);
    }
  }

  #wakeupFd(): number {
    if (this.#wakeup < 0) {
      this.#wakeup = this.#watch('eventfd', this.#kernel.createWakeup(), () => {
        this.wakeups++;
        this.#kernel.drainWakeup(this.#wakeup);
        this.#lookups.check();
        for (const { fn } of this.#wakeListeners) this.#guard(fn);
      });
    }
    return this.#wakeup;
  }

  /** Has to be told to a worker that blocks here: libuv's loop, which is told, does not run. */
  #watchInterrupt(): void {
    if (isMainThread || this.#interrupt >= 0) return;
    this.#interrupt = this.#watch('epoll_create1', this.#kernel.createInterrupt(), () => {
      this.#kernel.drainInterrupt(this.#interrupt);
    });
  }

  #watch(syscall: string, fd: number, drain: () => void): number {
    checked(syscall, fd);
    const result = this.#backend.add(fd, POLLIN);
    if (result < 0) this.#kernel.close(fd);
    checked(`${this.#backend.name} registration`, result);
    this.#own.set(fd, drain);
    return fd;
  }
}
