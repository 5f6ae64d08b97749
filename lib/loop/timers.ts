/**
 * Timers: a heap ordered by deadline; equal deadlines are ordered by creation. Each node has four
 * children, and deadlines are stored apart from timers, so that a large heap touches few cache
 * lines.
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
    /** @internal Undefined after the call, and after `cancel`. */
    public fn: (() => void) | undefined,
  ) {
    this.#queue = queue;
  }

  /** Whether the call is still to come: false after it was made or cancelled, or the map closed. */
  get pending(): boolean {
    return this.fn !== undefined;
  }

  /**
   * Cancels the call. Does nothing if it was already made or cancelled. Allowed in any callback.
   */
  cancel(): void {
    this.#queue.cancel(this);
  }
}

/** The timers of a map, or of a simulation. */
export class TimerQueue {
  /** The number of the next timer: it separates the existing timers from those added later. */
  nextSequence = 0;
  /** The heap. The first timer is never a cancelled one. */
  readonly #timers: QueuedTimer[] = [];
  /** The deadline of the timer at the same index, in milliseconds of the monotonic clock. */
  readonly #deadlinesMs: number[] = [];
  /** Cancelled timers stay in the heap until they are first in it, or more than half of it. */
  #cancelledCount = 0;

  /** The earliest deadline; `Infinity` if there is no timer. */
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
   * Removes the timers that are due and passes their functions to `run`. Timers with the sequence
   * number `end` or above wait for the next call, so that a timer that re-arms itself with a delay
   * of 0 does not run forever.
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

  /** Removes cancelled timers from the front of the heap. */
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

  /** Removes all cancelled timers, and restores the heap order. */
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

  /** Moves a timer up until its parent is not later. */
  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const above = Math.floor((at - 1) / CHILDREN);
      if (!this.#isBefore(at, above)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  /** Moves a timer down until none of its children is earlier. */
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
