/** What callbacks leave for later in the turn: output, ends, time stamps. */
import type { Stamped } from '../transport/loop';
import type { Transport } from '../transport/transport';

export class Deferred {
  #unflushed: Transport[] = [];
  #pending = new Set<Transport>();
  /** Not emptied but counted: it is filled again in every turn. */
  readonly #unstamped: (Stamped | undefined)[] = [];
  #unstampedCount = 0;
  readonly #raise: (error: unknown) => void;

  /** `raise` takes what a transport throws, so that the others are spared. */
  constructor(raise: (error: unknown) => void) {
    this.#raise = raise;
  }

  /** Whether a turn is due without any event. */
  get isDue(): boolean {
    return this.#pending.size > 0 || this.#unflushed.length > 0;
  }

  flushLater(transport: Transport): void {
    this.#unflushed.push(transport);
  }

  /** Sends what the callback that just returned has left to send. */
  flushOutput(): void {
    if (this.#unflushed.length > 0) this.#flushAll();
  }

  #flushAll(): void {
    const transports = this.#unflushed;
    // What handleDrain sends waits for the next turn, so that no handler holds this one for ever.
    this.#unflushed = [];
    this.each(transports, (transport) => {
      transport.flush();
    });
  }

  pendingLater(transport: Transport): void {
    this.#pending.add(transport);
  }

  /** Has each transport that asked for it handle what is there without an event. */
  runPending(): void {
    if (this.#pending.size === 0) return;
    const transports = this.#pending;
    this.#pending = new Set();
    this.each(transports, (transport) => {
      transport.pending();
    });
  }

  stampLater(what: Stamped): void {
    this.#unstamped[this.#unstampedCount++] = what;
  }

  /** Passes the time to those that asked for it. */
  stamp(readClockMs: () => number): void {
    if (this.#unstampedCount === 0) return;
    const nowMs = readClockMs();
    for (let i = 0; i < this.#unstampedCount; i++) {
      try {
        this.#unstamped[i]?.stamp(nowMs);
      } catch (error) {
        this.#raise(error);
      }
      this.#unstamped[i] = undefined;
    }
    this.#unstampedCount = 0;
  }

  /** A notifier, or a socket of another make, may throw for one transport. */
  each(transports: Iterable<Transport>, act: (transport: Transport) => void): void {
    for (const transport of transports) {
      try {
        act(transport);
      } catch (error) {
        this.#raise(error);
      }
    }
  }
}
