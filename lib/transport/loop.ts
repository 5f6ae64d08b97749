/** What a transport needs of the loop that it is registered with. */
import type { LookupResult } from '../sockets/lookups';
import type { Kernel } from '../system/kernel';

import type { Callbacks, Owner } from './callbacks';

/** The key under which a socket map has its loop. */
export const loopOf: unique symbol = Symbol('loop');

/** A call that is to come. */
export interface Timer {
  /** Whether the call is still to come. */
  readonly pending: boolean;
  /** Cancels the call. Does nothing where it was made or cancelled before. */
  cancel(): void;
}

/** What asks for the time after its turn: one call of the clock serves all. */
export interface Stamped {
  stamp(nowMs: number): void;
}

/** A loop, as its transports (`T`, which know it in turn) see it. */
export interface Loop<T> {
  readonly kernel: Kernel;
  /** What transports of this loop call. */
  readonly notifier: Callbacks;
  readonly isClosed: boolean;
  /** Grows by one with every turn. */
  readonly turn: number;
  /** Whether a callback of this loop is running. */
  readonly isDispatching: boolean;

  /** Adds a transport, under its descriptor where it has one. */
  register(transport: T): void;
  /** Removes a transport. Does nothing where it is not registered. */
  deregister(transport: T): void;
  /** The transport that is registered under a descriptor; undefined where there is none. */
  holder(fd: number): T | undefined;

  /** Asks for `interest()` before the next wait. */
  interestChanged(transport: T): void;
  /** Asks for `flush()` when the running callback returns. */
  flushLater(transport: T): void;
  /** Asks for `pending()` at the end of this turn, or in the next one. */
  pendingLater(transport: T): void;
  /** Asks for the time before the next wait. */
  stampLater(what: Stamped): void;

  callIn(seconds: number, fn: () => void): Timer;
  /** Looks up a host name without blocking. */
  resolve(hostname: string, done: (result: LookupResult) => void): void;

  /** Runs a callback that may come outside of a turn, and then sends what it left to send. */
  asCallback(fn: () => void): void;
  /** Calls `handleError`. */
  report(owner: Owner, error: unknown): void;
  /** An error that no handler takes: it comes out of `poll` or `runSync`, or rejects `run()`. */
  raise(error: unknown): void;
}
