/** The clock, the random numbers and the scheduled events of one simulated kernel and network. */
import { getSystemErrorMap } from 'node:util';

import { TimerQueue } from '../loop/timers';

import type { Faults } from './faults';
import { Random } from './random';

/** The longest delay of the `delays` fault. */
const LONGEST_DELAY_MS = 100;

/**
 * How much time each wait takes, so that time passes also while something is always ready. A power
 * of two, so that sums of it are exact.
 */
const WAIT_COST_MS = 2 ** -7;

export class Simulation {
  /** The simulated clock. */
  nowMs = 0;
  readonly random: Random;
  /** Events that are scheduled: arriving bytes, connection attempts, look-ups. */
  readonly #scheduled = new TimerQueue();

  constructor(
    readonly seed: number,
    readonly faults: Faults,
    readonly trace?: (call: string) => void,
  ) {
    this.random = new Random(seed);
  }

  /** Writes a line of the trace: a call, its arguments and its result. */
  traceCall(call: string, args: readonly unknown[], result: unknown): void {
    if (this.trace === undefined) return;
    const texts = args.filter((arg) => arg !== undefined).map(textOf);
    this.trace(
      `${(this.nowMs / 1000).toFixed(6)} ${call}(${texts.join(', ')}) = ${textOf(result)}`,
    );
  }

  /** When the next scheduled event happens; `Infinity` if there is none. */
  get nextAtMs(): number {
    return this.#scheduled.nextAtMs;
  }

  /** Calls `happen` at that time. */
  schedule(atMs: number, happen: () => void): void {
    this.#scheduled.add(atMs, happen);
  }

  /** A random delay; 0 unless the `delays` fault occurs. */
  delayMs(): number {
    return this.random.chance(this.faults.delays) ? this.random.integer(1, LONGEST_DELAY_MS) : 0;
  }

  /** Advances the clock by the time that one wait takes. */
  passWaitCost(): void {
    this.advanceTo(this.nowMs + WAIT_COST_MS);
  }

  /** Advances the clock, and calls the events that are due on the way. */
  advanceTo(atMs: number): void {
    for (;;) {
      const nextAtMs = Math.min(this.#scheduled.nextAtMs, atMs);
      this.nowMs = Math.max(this.nowMs, nextAtMs);
      if (this.#scheduled.nextAtMs > this.nowMs) return;
      this.#scheduled.runDue(this.nowMs, this.#scheduled.nextSequence, (happen) => {
        happen();
      });
    }
  }
}

/** A fault that never occurs twice in a row, so that a second try succeeds. */
export class SingleFault {
  #hasOccurred = false;

  constructor(
    readonly simulation: Simulation,
    readonly fault: keyof Faults,
  ) {}

  /** Decides whether it occurs this time. */
  occurs(): boolean {
    const { faults, random } = this.simulation;
    this.#hasOccurred = !this.#hasOccurred && random.chance(faults[this.fault]);
    return this.#hasOccurred;
  }
}

/** A value in the trace: an error by its name, anything else as JSON. */
function textOf(value: unknown): string {
  const isFailure = typeof value === 'number' && value < 0;
  const name = isFailure ? getSystemErrorMap().get(value)?.[0] : undefined;
  return name ?? (typeof value === 'string' ? value : JSON.stringify(value));
}
