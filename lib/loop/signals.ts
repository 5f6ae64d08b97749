/** The signals that a map's own functions handle: asyncio's add_signal_handler. */
import os from 'node:os';

import { rangeError, typeError } from '../system/arguments';
import { checked, SystemError } from '../system/errors';
import type { Kernel, SignalSource } from '../system/kernel';
import { type Backend, POLLIN } from '../system/readiness';

const numbers: Readonly<Record<string, number>> = os.constants.signals;

/** How many maps of this thread handle a signal, by its number. */
const handledBy = new Map<number, number>();

/** Whether a map of this thread handles the signal. */
export function isHandled(number: number): boolean {
  return (handledBy.get(number) ?? 0) > 0;
}

function count(number: number, change: number): void {
  handledBy.set(number, (handledBy.get(number) ?? 0) + change);
}

/** The number of a signal; throws where there is no such signal. */
export function signalNumber(signal: unknown): number {
  const known = Object.values(numbers);
  if (typeof signal === 'number') {
    if (known.includes(signal)) return signal;
    throw rangeError('signal', signal, 'the number of a signal, as in os.constants.signals');
  }
  if (typeof signal !== 'string') throw typeError('signal', signal, "a signal such as 'SIGTERM'");
  const number = Object.hasOwn(numbers, signal) ? numbers[signal] : undefined;
  if (number === undefined) throw rangeError('signal', signal, "a signal such as 'SIGTERM'");
  return number;
}

const room = new Int32Array(64);

/** The numbers of the signals that have arrived. */
export function* takeSignals(source: SignalSource): Generator<number> {
  let taken: number;
  do {
    taken = source.take(room);
    yield* room.slice(0, Math.max(0, taken));
  } while (taken === room.length);
}

export class SignalHandlers {
  readonly #kernel: Kernel;
  readonly #backend: Backend;
  readonly #functions = new Map<number, () => void>();
  /** Made by the first `add`. */
  #source: SignalSource | undefined;

  constructor(kernel: Kernel, backend: Backend) {
    this.#kernel = kernel;
    this.#backend = backend;
  }

  /** Calls `fn` for every signal of that number; it takes the place of the function before. */
  add(number: number, fn: () => void): void {
    this.#source ??= this.#open();
    checked('sigaction', this.#source.watch(number));
    if (!this.#functions.has(number)) count(number, 1);
    this.#functions.set(number, fn);
  }

  /** Returns false where there is no function for it. */
  remove(number: number): boolean {
    if (!this.#functions.delete(number)) return false;
    this.#source?.unwatch(number);
    count(number, -1);
    return true;
  }

  /** Handles a ready descriptor. Returns false where it is another's. */
  ready(fd: number, guard: (fn: () => void) => void): boolean {
    const source = this.#source;
    if (source?.fd !== fd) return false;
    for (const number of [...takeSignals(source)]) {
      const fn = this.#functions.get(number);
      if (fn !== undefined) guard(fn);
    }
    return true;
  }

  close(): void {
    for (const number of [...this.#functions.keys()]) this.remove(number);
    this.#source?.close();
    this.#source = undefined;
  }

  #open(): SignalSource {
    const source = this.#kernel.createSignals();
    if (typeof source === 'number') throw new SystemError('signal', source);
    const result = this.#backend.add(source.fd, POLLIN);
    if (result < 0) source.close();
    checked(`${this.#backend.name} registration`, result);
    return source;
  }
}
