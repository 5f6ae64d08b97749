/** Timers: a binary heap by deadline, and by order of creation where deadlines are equal. */

/** A call that is to come. */
export class Timer {
  /** @internal The place in the heap; -1 once run or cancelled. */
  index = -1;
  readonly #queue: TimerQueue;

  /** @internal */
  constructor(
    queue: TimerQueue,
    /** @internal Milliseconds of the monotonic clock. */
    readonly atMs: number,
    /** @internal */
    readonly sequence: number,
    /** @internal */
    readonly fn: () => void,
  ) {
    this.#queue = queue;
  }

  /** Whether the call is still to come. */
  get pending(): boolean {
    return this.index >= 0;
  }

  /** Takes the call back. Does nothing where it has been made, or taken back, already. */
  cancel(): void {
    this.#queue.remove(this);
  }
}

export class TimerQueue {
  /** Tells the timers that are there already from those that are added later. */
  nextSequence = 0;
  readonly #heap: Timer[] = [];

  /** The earliest deadline; infinite where there is none. */
  get nextAtMs(): number {
    return this.#heap[0]?.atMs ?? Infinity;
  }

  add(atMs: number, fn: () => void): Timer {
    const timer = new Timer(this, atMs, this.nextSequence++, fn);
    this.#rise(this.#heap.length, timer);
    return timer;
  }

  remove(timer: Timer): void {
    const { index } = timer;
    if (index < 0) return;
    timer.index = -1;
    const last = this.#heap.pop();
    if (last === undefined || last === timer) return;
    this.#rise(index, last);
    this.#sink(last);
  }

  clear(): void {
    for (const timer of this.#heap) timer.index = -1;
    this.#heap.length = 0;
  }

  /**
   * Takes out what is due and hands it to `run`. What was added at the sequence `end` or later waits
   * for the next call, so that a timer that re-arms itself at 0 does not run for ever.
   */
  runDue(nowMs: number, end: number, run: (fn: () => void) => void): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.atMs > nowMs || first.sequence >= end) return;
      this.remove(first);
      run(first.fn);
    }
  }

  /** Puts `timer` at `index` or, as far as it is earlier, above. */
  #rise(index: number, timer: Timer): void {
    const heap = this.#heap;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || !isBefore(timer, parent)) break;
      this.#place(index, parent);
      index = above;
    }
    this.#place(index, timer);
  }

  /** Lets `timer` down as far as it is later than what is below it. */
  #sink(timer: Timer): void {
    const heap = this.#heap;
    for (;;) {
      const left = heap[2 * timer.index + 1];
      const right = heap[2 * timer.index + 2];
      if (left === undefined) return;
      const child = right !== undefined && isBefore(right, left) ? right : left;
      if (!isBefore(child, timer)) return;
      const { index } = timer;
      this.#place(child.index, timer);
      this.#place(index, child);
    }
  }

  #place(index: number, timer: Timer): void {
    this.#heap[index] = timer;
    timer.index = index;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
