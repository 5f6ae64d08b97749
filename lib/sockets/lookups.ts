/** Host names on their way to being resolved, off the loop. */
import { SystemError } from '../errors';
import type { Kernel } from '../kernel';

/** What a look-up comes to: packed addresses, or the code of its failure. */
export type LookupResult = Buffer[] | string;

interface Lookup {
  readonly result: () => LookupResult | undefined;
  readonly done: (result: LookupResult) => void;
}

export class Lookups {
  readonly #kernel: Kernel;
  readonly #wakeupFd: () => number;
  #waiting: Lookup[] = [];

  /** `wakeupFd` gives the eventfd(2) that is written when a look-up is done. */
  constructor(kernel: Kernel, wakeupFd: () => number) {
    this.#kernel = kernel;
    this.#wakeupFd = wakeupFd;
  }

  start(hostname: string, done: (result: LookupResult) => void): void {
    const result = this.#kernel.resolve(hostname, this.#wakeupFd());
    if (typeof result === 'number') throw new SystemError('dup', result);
    this.#waiting.push({ result, done });
  }

  /** Hands out what is done. */
  check(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const lookup of waiting) {
      const result = lookup.result();
      if (result === undefined) this.#waiting.push(lookup);
      else lookup.done(result);
    }
  }

  clear(): void {
    this.#waiting = [];
  }
}
