/** Look-ups of host names that are under way, off the loop. */
import { SystemError } from '../system/errors';
import type { Kernel } from '../system/kernel';

/** The result of a look-up: packed addresses, or the code of its failure. */
export type LookupResult = Buffer[] | string;

/** Calls a function, and takes what it throws, so that others are called all the same. */
export type Guard = (fn: () => void) => void;

export class Lookups {
  readonly #kernel: Kernel;
  readonly #wakeupFd: () => number;
  readonly #waiting = new Map<number, (result: LookupResult) => void>();

  /** `wakeupFd` gives the eventfd(2) that is written when a look-up is done. */
  constructor(kernel: Kernel, wakeupFd: () => number) {
    this.#kernel = kernel;
    this.#wakeupFd = wakeupFd;
  }

  start(hostname: string, done: (result: LookupResult) => void): void {
    const lookup = this.#kernel.resolve(hostname, this.#wakeupFd());
    if (lookup < 0) throw new SystemError('look-up', lookup);
    this.#waiting.set(lookup, done);
  }

  /** Passes on the results of those that are done. */
  check(guard: Guard): void {
    for (const [lookup, done] of [...this.#waiting]) {
      const result = this.#kernel.resolved(lookup);
      if (result === undefined) continue;
      this.#waiting.delete(lookup);
      guard(() => {
        done(result);
      });
    }
  }

  clear(): void {
    for (const lookup of this.#waiting.keys()) this.#kernel.dropLookup(lookup);
    this.#waiting.clear();
  }
}
