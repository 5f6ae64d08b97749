/**
 * What interrupts a thread that blocks in a map, and so does not turn Node's loop: the end of a worker,
 * a debugger, and signals. While a map of the main thread blocks, what the program listens for with
 * `process.on` is emitted, and SIGINT without a listener is an `InterruptedError`.
 */
import os from 'node:os';
import { isMainThread } from 'node:worker_threads';

import { InterruptedError } from '../system/errors';
import type { Kernel, SignalSource } from '../system/kernel';

import { isHandled, takeSignals } from './signals';

/** The longest wait while Node's loop has something pending: libuv may not notify of more. */
const PENDING_WAIT_MS = 100;

const numbers = os.constants.signals;
const { SIGINT } = numbers;

function numberOf(event: string | symbol): number | undefined {
  return typeof event === 'string' ? (numbers as Record<string, number>)[event] : undefined;
}

/** One a kernel, for all maps of a thread: a thread blocks in one at a time. */
export class Interrupt {
  /** Becomes readable when the wait is to be interrupted; negative where there is no such thing. */
  readonly fd: number;
  /** How long a wait may block. */
  longestWaitMs = Infinity;
  readonly #kernel: Kernel;
  readonly #source: SignalSource | undefined;
  readonly #caught: number[] = [];
  /** The signals that are caught; undefined while no map blocks. */
  #watched: Set<number> | undefined;
  readonly #listenerAdded = (event: string | symbol): void => {
    this.#watch(numberOf(event));
  };

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const source = isMainThread ? kernel.createSignals() : undefined;
    this.#source = typeof source === 'object' ? source : undefined;
    this.fd = kernel.createInterrupt(this.#source?.fd ?? -1);
    if (this.fd < 0) this.#source?.close();
    // What is pending from before is no news.
    this.drain();
  }

  get hasSignals(): boolean {
    return this.#caught.length > 0;
  }

  /** A map may block from now on. Signals are caught until the running JavaScript returns to Node. */
  begin(): void {
    if (this.#watched !== undefined || this.#source === undefined) return;
    this.#watched = new Set();
    this.#watch(SIGINT);
    for (const event of process.eventNames()) this.#watch(numberOf(event));
    process.on('newListener', this.#listenerAdded);
    process.nextTick(() => {
      this.#end();
    });
  }

  /** Finds out what has happened. Returns whether there is something to deliver. */
  drain(): boolean {
    if (this.fd < 0) return false;
    const isPending = this.#kernel.drainInterrupt(this.fd) > 0;
    this.longestWaitMs = isPending ? PENDING_WAIT_MS : Infinity;
    this.#take();
    return this.hasSignals;
  }

  /** Delivers the signals, each within `guard`. */
  deliver(guard: (fn: () => void) => void): void {
    for (const number of this.#caught.splice(0)) {
      guard(() => {
        this.#deliver(number);
      });
    }
  }

  #take(): void {
    if (this.#source !== undefined) this.#caught.push(...takeSignals(this.#source));
  }

  #watch(number: number | undefined): void {
    if (number === undefined || this.#watched?.has(number) !== false) return;
    // Some cannot be caught: signal(7).
    if (this.#source?.watch(number) === 0) this.#watched.add(number);
  }

  #deliver(number: number): void {
    const name = nameOf(number);
    if (process.listenerCount(name) > 0) emitOnce(name, number);
    else if (isHandled(number)) return;
    else if (number === SIGINT) throw new InterruptedError(name);
    else this.#raise(number);
  }

  /** Nobody listens any more: the signal does what it does by default. */
  #raise(number: number): void {
    this.#source?.unwatch(number);
    this.#watched?.delete(number);
    process.kill(process.pid, number);
  }

  /** Node's loop is about to turn, and delivers what the program listens for. */
  #end(): void {
    process.off('newListener', this.#listenerAdded);
    this.#take();
    for (const number of this.#watched ?? []) this.#source?.unwatch(number);
    this.#watched = undefined;
    for (const number of this.#caught.splice(0)) {
      const isTaken = process.listenerCount(nameOf(number)) > 0 || isHandled(number);
      if (!isTaken) process.kill(process.pid, number);
    }
  }
}

function nameOf(number: number): NodeJS.Signals {
  const found = Object.entries(numbers).find(([, value]) => value === number);
  return (found?.[0] ?? 'SIGINT') as NodeJS.Signals;
}

/**
 * Emits a signal that Node's loop has pending too. To add the listeners anew makes Node forget it;
 * the signal stays caught meanwhile, as it is watched here.
 */
function emitOnce(name: NodeJS.Signals, number: number): void {
  const listeners = process.rawListeners(name) as NodeJS.SignalsListener[];
  process.removeAllListeners(name);
  for (const listener of listeners) process.on(name, listener);
  (process as NodeJS.EventEmitter).emit(name, name, number);
}

const interrupts = new WeakMap<Kernel, Interrupt>();

/** The interrupt of a kernel's maps in this thread. */
export function interruptOf(kernel: Kernel): Interrupt {
  let interrupt = interrupts.get(kernel);
  if (interrupt === undefined) {
    interrupt = new Interrupt(kernel);
    // Out of descriptors, say: the next map tries again.
    if (interrupt.fd >= 0) interrupts.set(kernel, interrupt);
  }
  return interrupt;
}
