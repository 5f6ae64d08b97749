/** The inner side of a map, the one that its handlers (`H`, which know it in turn) talk to. */
import type { Kernel } from '../kernel';
import type { LookupResult } from '../sockets/lookups';

/** What a callback may return; where a promise rejects, `handleError` is told. */
export type Handled = void | PromiseLike<void>;

/** What the inner side of a map does for its handlers. */
export interface Registry<H> {
  /** Whose descriptors the map watches, and whose clock is its own. */
  readonly kernel: Kernel;
  /** Grows by one with every turn. */
  readonly turn: number;
  /** Whether a callback of this map is running. */
  readonly isDispatching: boolean;
  /** Keeps a handler that has no descriptor yet. */
  expect(handler: H): void;
  add(handler: H): void;
  delete(handler: H): void;
  /** Who is in the map under a descriptor; undefined where nobody is. */
  holder(fd: number): H | undefined;
  /** The handler's interest may have changed: it is looked at before the next wait. */
  changed(handler: H): void;
  /** `flush` is to be called when the running callback returns. */
  flushLater(handler: H): void;
  /** Tells `what` the time before the next wait: asking the clock costs too much per message. */
  stampLater(what: { stamp(nowMs: number): void }): void;
  /** The handler has been idle for too long. */
  timeout(handler: H): void;
  /** The handler has failed or been half-closed: looked at in this turn, or the next. */
  endLater(handler: H): void;
  /** Sees to it that the promise a callback returned is not forgotten. */
  settle(handler: H, result: Handled): void;
  /** Tells the handler of an error that a callback threw. */
  report(handler: H, error: unknown): void;
  /** Tells the handler that it is over. */
  cleanup(handler: H): void;
  /** An error that nobody handles: comes out of `poll` or `runSync`, or rejects `run()`. */
  raise(error: unknown): void;
  resolve(hostname: string, done: (result: LookupResult) => void): void;
}
