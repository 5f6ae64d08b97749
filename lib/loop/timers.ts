/**
 * Timers: a heap by deadline, and by order of creation where deadlines are equal. Four children a
 * node and deadlines apart from timers keep a large heap within few cache lines.
 */

import type { Timer } from '../transport/loop';

const CHILDREN = 4;

/** A timer in its queue. */
export class QueuedTimer implements Timer {
  readonly #queue: TimerQueue;

  /** @internal */
  constructor(
    queue: TimerQueue,
    /** @internal */
    readonly sequence: number,
    /** @internal Undefined once called or taken back. */
    public fn: (() => void) | undefined,
  ) {
    this.#queue = queue;
  }

  /** Whether the call is still to come. */
  get pending(): boolean {
    return this.fn !== undefined;
  }

  /** Takes the call back. Does nothing where it has been made, or taken back, already. */
  cancel(): void {
    this.#queue.cancel(this);
  }
}

export class TimerQueue {
  /** Tells the timers that are there already from those that are added later. */
  nextSequence = 0;
  /** The first is never a cancelled one. */
  readonly #timers: QueuedTimer[] = [];
  /** Of the timer in the same place, in milliseconds of the monotonic clock. */
  readonly #deadlinesMs: number[] = [];
  /** Cancelled timers stay until they come first, or are more than half of all. */
  #cancelledCount = 0;

  /** The earliest deadline; infinite where there is none. */
  get nextAtMs(): number {
    return this.#deadlinesMs[0] ?? Infinity;
  }

  add(atMs: number, fn: () => void): QueuedTimer {
    const timer = new QueuedTimer(this, this.nextSequence++, fn);
    this.#deadlinesMs.push(atMs);
    this.#rise(this.#timers.push(timer) - 1);
    return timer;
  }

  cancel(timer: QueuedTimer): void {
    if (timer.fn === undefined) return;
    timer.fn = undefined;
    this.#cancelledCount++;
    if (2 * this.#cancelledCount > this.#timers.length) this.#sweep();
    this.#dropCancelled();
  }

  clear(): void {
    for (const timer of this.#timers) timer.fn = undefined;
    this.#timers.length = 0;
    this.#deadlinesMs.length = 0;
    this.#cancelledCount = 0;
  }

  /**
   * Takes out what is due and hands it to `run`. What was added at the sequence `end` or later waits
   * for the next call, so that a timer that re-arms itself at 0 does not run for ever.
   */
  runDue(nowMs: number, end: number, run: (fn: () => void) => void): void {
    for (;;) {
      const first = this.#timers[0];
      const fn = first?.fn;
      if (first === undefined || fn === undefined) return;
      if (this.nextAtMs > nowMs || first.sequence >= end) return;
      first.fn = undefined;
      this.#dropFirst();
      this.#dropCancelled();
      run(fn);
    }
  }

  #dropCancelled(): void {
    while (this.#timers.length > 0 && this.#timers[0]?.fn === undefined) {
      this.#cancelledCount--;
      this.#dropFirst();
    }
  }

  #dropFirst(): void {
    this.#swap(0, this.#timers.length - 1);
    this.#timers.pop();
    this.#deadlinesMs.pop();
    this.#sink(0);
  }

  /** Takes out all that are cancelled. */
  #sweep(): void {
    const timers = this.#timers;
    let kept = 0;
    for (let at = 0; at < timers.length; at++) {
      if (timers[at]?.fn !== undefined) this.#swap(kept++, at);
    }
    timers.length = kept;
    this.#deadlinesMs.length = kept;
    this.#cancelledCount = 0;
    for (let at = Math.floor((kept - 2) / CHILDREN); at >= 0; at--) this.#sink(at);
  }

  /** Moves a timer up as far as it is earlier than what is above it. */
  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const above = Math.floor((at - 1) / CHILDREN);
      if (!this.#isBefore(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  /** Moves a timer down as far as it is later than what is below it. */
  #sink(from: number): void {
    let at = from;
    for (;;) {
      let first = CHILDREN * at + 1;
      const end = Math.min(first + CHILDREN, this.#timers.length);
      if (first >= end) return;
      for (let other = first + 1; other < end; other++) {
        if (this.#isBefore(other, first)) first = other;
      }
      if (!this.#isBefore(first, at)) return;
      this.#swap(at, first);
      at = first;
    }
  }

  #isBefore(one: number, other: number): boolean {
    const oneMs = this.#deadlinesMs[one] ?? Infinity;
    const otherMs = this.#deadlinesMs[other] ?? Infinity;
    if (oneMs !== otherMs) return oneMs < otherMs;
    return (this.#timers[one]?.sequence ?? 0) < (this.#timers[other]?.sequence ?? 0);
  }

  #swap(one: number, other: number): void {
    const timer = this.#timers[one];
    const atMs = this.#deadlinesMs[one];
    const otherTimer = this.#timers[other];
    const otherMs = this.#deadlinesMs[other];
    if (timer === undefined || atMs === undefined) return;
    if (otherTimer === undefined || otherMs === undefined) return;
    this.#timers[one] = otherTimer;
    this.#deadlinesMs[one] = otherMs;
    this.#timers[other] = timer;
    this.#deadlinesMs[other] = atMs;
  }
}
