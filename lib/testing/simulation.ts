/** A simulated world: its time, its chance, and what is under way in it. */
import { getSystemErrorMap } from 'node:util';

import { TimerQueue } from '../loop/timers';

import type { Faults } from './faults';
import { Random } from './random';

const LONGEST_DELAY_MS = 100;

/**
 * How long a look at readiness takes: time passes in a busy world too. A power of two, so that any
 * number of them adds up exactly.
 */
const LOOK_MS = 2 ** -7;

export class Simulation {
  nowMs = 0;
  readonly random: Random;
  readonly #underWay = new TimerQueue();

  constructor(
    readonly seed: number,
    readonly faults: Faults,
    readonly trace?: (call: string) => void,
  ) {
    this.random = new Random(seed);
  }

  /** Adds a line to the trace: a call, with its arguments, and what it returned. */
  tell(call: string, args: readonly unknown[], result: unknown): void {
    if (this.trace === undefined) return;
    const given = args.filter((arg) => arg !== undefined).map(shown);
    this.trace(`${(this.nowMs / 1000).toFixed(6)} ${call}(${given.join(', ')}) = ${shown(result)}`);
  }

  /** When the next of what is under way arrives; infinite where nothing is. */
  get nextAtMs(): number {
    return this.#underWay.nextAtMs;
  }

  at(atMs: number, arrive: () => void): void {
    this.#underWay.add(atMs, arrive);
  }

  /** How late something comes. */
  delayMs(): number {
    return this.random.chance(this.faults.delays) ? this.random.integer(1, LONGEST_DELAY_MS) : 0;
  }

  /** Lets the time of one look pass. */
  look(): void {
    this.advanceTo(this.nowMs + LOOK_MS);
  }

  /** Lets time pass, and what is due meanwhile arrive. */
  advanceTo(atMs: number): void {
    for (;;) {
      const nextAtMs = Math.min(this.#underWay.nextAtMs, atMs);
      this.nowMs = Math.max(this.nowMs, nextAtMs);
      if (this.#underWay.nextAtMs > this.nowMs) return;
      this.#underWay.runDue(this.nowMs, this.#underWay.nextSequence, (arrive) => {
        arrive();
      });
    }
  }
}

/** A fault that never strikes twice in a row, so that whoever tries again gets on. */
export class Hiccup {
  #hasStruck = false;

  constructor(
    readonly simulation: Simulation,
    readonly fault: keyof Faults,
  ) {}

  strikes(): boolean {
    const { faults, random } = this.simulation;
    this.#hasStruck = !this.#hasStruck && random.chance(faults[this.fault]);
    return this.#hasStruck;
  }
}

function shown(value: unknown): string {
  const isFailure = typeof value === 'number' && value < 0;
  const name = isFailure ? getSystemErrorMap().get(value)?.[0] : undefined;
  return name ?? (typeof value === 'string' ? value : JSON.stringify(value));
}
