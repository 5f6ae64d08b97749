/** The main loop: the one that waits and dispatches, whatever the backend. */
import type { AsyncResource } from 'node:async_hooks';

import { Lookups, type LookupResult } from '../sockets/lookups';
import type { Waker } from '../sockets/waker';
import { inContext } from '../system/context';
import { checked, SystemError } from '../system/errors';
import { Control, type Kernel, type LoopBackend } from '../system/kernel';
import type { Callbacks, Owner } from '../transport/callbacks';
import type { Loop, Stamped } from '../transport/loop';
import type { Transport } from '../transport/transport';

import { Deferred } from './deferred';
import { Registrations } from './registrations';
import { type QueuedTimer, TimerQueue } from './timers';
import { Wakeups } from './wakeups';

/** How many ready descriptors a turn takes from the backend at most; the rest come in the next. */
const BATCH = 1024;

export class MainLoop implements Loop<Transport> {
  readonly kernel: Kernel;
  readonly notifier: Callbacks;
  readonly registrations: Registrations;
  isClosed = false;
  /** `close` is calling `handleCleanup`: calls and timers are taken, and dropped. */
  isClosing = false;
  turn = 0;
  isDispatching = false;
  /** When it was made, by the kernel's clock. */
  readonly startedAtMs: number;
  /** How many events were dispatched. */
  events = 0;
  /** How many events were for descriptors that were closed, or deregistered, since the wait. */
  staleEvents = 0;
  /** How often it was woken. */
  wakeups = 0;
  readonly #backend: LoopBackend;
  readonly #deferred = new Deferred((error) => {
    this.raise(error);
  });
  readonly #timers = new TimerQueue();
  readonly #lookups: Lookups;
  readonly #wakeups: Wakeups;
  readonly #ready = new Int32Array(2 * BATCH);
  readonly #control = new Float64Array(Control.fields);
  #calls: (() => void)[] = [];
  /** Errors that no handler takes, to be thrown at the end of the turn. */
  #raised: unknown[] = [];
  /** A turn is under way. A callback (`isDispatching`) may also run outside of one. */
  #isInTurn = false;
  #isWoken = false;
  readonly #deliverSignals = (): void => {
    this.#wakeups.interrupt.deliver((fn) => {
      this.#guard(fn);
    });
  };
  /** While Node's loop does the waiting. */
  #running: { resolve: () => void; reject: (error: unknown) => void } | undefined;

  /** Throws a `SystemError` where the kernel has no backend of that name. */
  constructor(kernel: Kernel, name: string, notifier: Callbacks) {
    const backend = kernel.createBackend(name);
    if (typeof backend === 'number') throw new SystemError(`${name} set-up`, backend);
    this.kernel = kernel;
    this.notifier = notifier;
    this.startedAtMs = kernel.monotonicMs();
    this.#backend = backend;
    this.registrations = new Registrations(kernel, backend, (error) => {
      this.raise(error);
    });
    this.#wakeups = new Wakeups(kernel, backend, (guard) => {
      this.wakeups++;
      this.#lookups.check(guard);
    });
    this.#lookups = new Lookups(kernel, () => this.#wakeups.fd());
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  get nowMs(): number {
    return this.kernel.monotonicMs();
  }

  register(transport: Transport): void {
    this.registrations.add(transport, this.turn);
    if (transport.fd >= 0) this.interestChanged(transport);
  }

  deregister(transport: Transport): void {
    this.registrations.remove(transport);
  }

  holder(fd: number): Transport | undefined {
    return this.registrations.holder(fd);
  }

  /** The transport that an event of this turn is for. */
  recipient(fd: number): Transport | undefined {
    return this.registrations.recipient(fd, this.turn);
  }

  interestChanged(transport: Transport): void {
    this.registrations.interestChanged(transport);
    this.#changed();
  }

  flushLater(transport: Transport): void {
    this.#deferred.flushLater(transport);
    this.#changed();
  }

  pendingLater(transport: Transport): void {
    this.#deferred.pendingLater(transport);
    this.#changed();
  }

  stampLater(what: Stamped): void {
    this.#deferred.stampLater(what);
    this.#changed();
  }

  callIn(seconds: number, fn: () => void, context?: AsyncResource): QueuedTimer {
    this.#changed();
    const atMs = this.kernel.monotonicMs() + seconds * 1000;
    return this.#timers.add(atMs, inContext(context, fn));
  }

  callSynchronized(fn: () => void, context?: AsyncResource): void {
    this.#calls.push(inContext(context, fn));
    this.#changed();
  }

  resolve(hostname: string, done: (result: LookupResult) => void): void {
    this.#lookups.start(hostname, done);
  }

  /** Makes what another thread wakes this loop with; `fn` is called in the turn that it brings. */
  createWaker(fn: () => void, context?: AsyncResource): Waker {
    return this.#wakeups.add(inContext(context, fn));
  }

  addSignalHandler(number: number, fn: () => void): void {
    this.#wakeups.signals.add(number, fn);
  }

  removeSignalHandler(number: number): boolean {
    return this.#wakeups.signals.remove(number);
  }

  wake(): void {
    this.wakeups++;
    this.#isWoken = true;
    this.#changed();
  }

  asCallback(fn: () => void): void {
    const wasDispatching = this.isDispatching;
    this.isDispatching = true;
    try {
      fn();
    } finally {
      this.isDispatching = wasDispatching;
    }
    if (!wasDispatching) this.#deferred.flushOutput();
  }

  report(owner: Owner, error: unknown): void {
    this.asCallback(() => {
      this.notifier.errorObj(owner, error);
    });
  }

  raise(error: unknown): void {
    this.#raised.push(error);
    this.#changed();
    // There may be no turn left that would throw it.
    if (this.isClosed) {
      queueMicrotask(() => {
        this.#throwRaised();
      });
    }
  }

  /** One turn, with a wait of at most `seconds`. Returns how many events it dispatched. */
  poll(seconds: number): number {
    this.#prepare();
    this.#wakeups.watchInterrupt();
    const endMs = this.nowMs + seconds * 1000;
    while (!this.isClosed) {
      const turnAtMs = Math.min(endMs, this.#control[Control.turnAtMs] ?? 0);
      const count = this.#wait(turnAtMs);
      if (!this.#wakeups.interrupt.hasSignals) return this.#runTurn(count);
      // Signals are delivered, and do not end the wait.
      this.#calls.push(this.#deliverSignals);
      const dispatched = this.#runTurn(count);
      if (dispatched > 0 || this.nowMs >= turnAtMs) return dispatched;
    }
    return 0;
  }

  /** Has Node's loop do the waiting, until the loop is closed or a turn throws. */
  run(): Promise<void> {
    this.#wakeups.unwatchInterrupt();
    return new Promise<void>((resolve, reject) => {
      const result = this.#backend.joinLoop(
        this.#ready,
        this.#control,
        () => {
          this.#prepare();
        },
        (count) => {
          this.#runGuestTurn(count);
        },
      );
      checked(`${this.#backend.name} registration`, result);
      this.#running = { resolve, reject };
      this.#changed();
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.isClosing = true;
    this.#deferred.each(this.registrations.members(), (transport) => {
      // Another's cleanup may have deregistered it.
      if (transport.isMember) transport.close();
    });
    this.#timers.clear();
    this.#lookups.clear();
    this.#calls = [];
    this.isClosing = false;
    this.#backend.close();
    this.#wakeups.close();
    // A turn that is under way throws what was raised at its own end.
    if (this.#isInTurn) return;
    if (this.#running === undefined) this.#throwRaised();
    else this.#leave();
  }

  /** A turn begins; `ready` holds what the wait has reported. */
  protected beginTurn(_ready: Int32Array, _count: number): void {
    this.turn++;
    this.isDispatching = true;
  }

  /** Something has changed that has to be prepared before the next wait. */
  #changed(): void {
    this.#control[Control.hasChanges] = 1;
  }

  /** Waits. Interrupts that bring no signal do not end the wait. */
  #wait(turnAtMs: number): number {
    const { interrupt } = this.#wakeups;
    let count: number;
    do {
      const leftMs = Math.max(0, turnAtMs - this.nowMs);
      count = this.#backend.wait(Math.min(leftMs, interrupt.longestWaitMs), this.#ready);
      const isInterrupt = count === 1 && this.#ready[0] === interrupt.fd;
      const isCut = count === 0 && leftMs > interrupt.longestWaitMs;
      if (!isInterrupt && !isCut) break;
      count = 0;
    } while (!interrupt.drain() && !this.isClosed);
    // A debugger may have closed the map meanwhile.
    return this.isClosed ? 0 : count;
  }

  /** All of a turn but the wait: dispatches what it reported, and runs what is due. */
  #runTurn(count: number): number {
    if (count < 0) throw new SystemError(`${this.#backend.name} wait`, count);
    this.beginTurn(this.#ready, count);
    this.#isInTurn = true;
    this.#isWoken = false;
    // What callbacks of this turn ask for comes in the next.
    const callCount = this.#calls.length;
    const timersEnd = this.#timers.nextSequence;
    const dispatched = this.#dispatchReady(count);
    this.events += dispatched;
    this.#guard(() => {
      // A drain comes before an end.
      this.#deferred.flushOutput();
      this.#deferred.runPending();
    });
    if (this.#timers.nextAtMs < Infinity) {
      this.#timers.runDue(this.nowMs, timersEnd, (fn) => {
        this.#guard(fn);
      });
    }
    if (callCount > 0) this.#runCalls(callCount);
    this.isDispatching = false;
    this.#isInTurn = false;
    if (!this.isClosed) this.#prepare();
    this.#throwRaised();
    return dispatched;
  }

  #dispatchReady(count: number): number {
    const ready = this.#ready;
    let dispatched = 0;
    for (let i = 0; i < 2 * count && !this.isClosed; i += 2) {
      const fd = ready[i] ?? -1;
      const transport = this.recipient(fd);
      if (transport === undefined) {
        this.#dispatchOther(fd);
        continue;
      }
      dispatched++;
      try {
        transport.ready(ready[i + 1] ?? 0);
        this.#deferred.flushOutput();
      } catch (error) {
        this.raise(error);
      }
    }
    return dispatched;
  }

  #dispatchOther(fd: number): void {
    const isOwn = this.#wakeups.ready(fd, (fn) => {
      this.#guard(fn);
    });
    if (!isOwn) this.staleEvents++;
  }

  /** Runs the calls that were asked for before this turn. */
  #runCalls(count: number): void {
    for (const fn of this.#calls.splice(0, count)) {
      if (!this.isClosed) this.#guard(fn);
    }
  }

  /** Calls a function that is no handler's: its error comes out of the loop. */
  #guard(fn: () => void): void {
    try {
      fn();
      this.#deferred.flushOutput();
    } catch (error) {
      this.raise(error);
    }
  }

  /** Brings the backend, and what the native loop reads, up to date for the next wait. */
  #prepare(): void {
    this.registrations.flushChanges();
    this.#deferred.stamp(() => this.nowMs);
    const hasWork = this.#calls.length > 0 || this.#raised.length > 0 || this.#deferred.isDue;
    const isDue = this.#isWoken || hasWork;
    this.#control[Control.turnAtMs] = isDue ? 0 : this.#timers.nextAtMs;
    this.#control[Control.hasChanges] = 0;
  }

  #throwRaised(): void {
    const errors = this.#raised;
    if (errors.length === 0) return;
    this.#raised = [];
    if (errors.length === 1) throw errors[0];
    throw new AggregateError(errors, `${errors.length} errors in one turn`);
  }

  #runGuestTurn(count: number): void {
    try {
      this.#runTurn(count);
      if (this.isClosed) this.#leave();
    } catch (error) {
      this.raise(error);
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
      this.#throwRaised();
      running.resolve();
    } catch (error) {
      running.reject(error);
    }
  }
}
