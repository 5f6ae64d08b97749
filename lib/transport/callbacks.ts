/** What a transport calls: the handler's callbacks, through a notifier. */
import type { SystemError } from '../system/errors';

/**
 * What a callback may return: nothing, or a promise. If the promise rejects, `handleError` is
 * called.
 */
export type Handled = void | PromiseLike<void>;

/** What a transport knows of the handler that it serves. */
export interface Owner {
  /** Whether the handler keeps its own side open when the peer ends. */
  readonly allowHalfOpen: boolean;
  readonly constructor: { readonly name: string };
}

/**
 * Calls an owner's callbacks and handles what they throw. A map's notifier is one. A transport that
 * stands over another (TLS over a stream) is one too: it puts itself in the `callbacks` of the one
 * below.
 */
export interface Callbacks {
  readObj(owner: Owner): void;
  writeObj(owner: Owner): void;
  exceptObj(owner: Owner, error?: SystemError): void;
  connectObj(owner: Owner): void;
  connectFailedObj(owner: Owner, error: SystemError): void;
  drainObj(owner: Owner): void;
  endObj(owner: Owner): void;
  closeObj(owner: Owner, error?: SystemError): void;
  timeoutObj(owner: Owner): void;
  cleanupObj(owner: Owner): void;
  errorObj(owner: Owner, error: unknown): void;
  /** Handles the promise that a callback has returned. */
  settle(owner: Owner, result: unknown): void;
  /** Whether urgent data is of interest, which is watched for only then. */
  wantsExcept(owner: Owner): boolean;
}
