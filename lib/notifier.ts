/** The notifier: calls the handlers' callbacks, and handles what they throw. */
import util from 'node:util';

import { typeError } from './system/arguments';
import type { SystemError } from './system/errors';
import { Handler, type Handled, transportOf } from './handlers/handler';
import type { Callbacks } from './transport/callbacks';
import { loopOf } from './transport/loop';
import { pausedAsStuck } from './transport/stuck';

/**
 * Calls a handler's `handle*` callbacks, and passes what they throw to `errorObj`. asynchia's
 * `Notifier`. A subclass can stand before every callback of a map:
 * `new EpollSocketMap({ notifier })`. An override that does not call `super` suppresses the
 * callback; what it throws itself comes out of `poll` or `runSync`, or rejects `run()`.
 */
export class Notifier implements Callbacks {
  /**
   * Calls `handleRead`: there is something to read, or a connection to accept. asynchia's
   * `read_obj`.
   */
  readObj(handler: Handler): void {
    try {
      this.settle(handler, handler[transportOf].runInAsyncScope(read, undefined, handler));
    } catch (error) {
      report(handler, error);
    }
  }

  /** Calls `handleWrite`: a write would not block. asynchia's `write_obj`. */
  writeObj(handler: Handler): void {
    try {
      this.settle(handler, handler[transportOf].runInAsyncScope(write, undefined, handler));
    } catch (error) {
      report(handler, error);
    }
  }

  /**
   * Calls `handleExcept`. asynchia's `except_obj`.
   *
   * @param error - An error that left the connection standing; undefined for urgent data.
   */
  exceptObj(handler: Handler, error?: SystemError): void {
    this.#call(handler, () => handler.handleExcept(error));
  }

  /** Calls `handleConnect`: the connection stands. asynchia's `connect_obj`. */
  connectObj(handler: Handler): void {
    this.#call(handler, () => handler.handleConnect());
  }

  /**
   * Calls `handleConnectFailed`. asynchia's `connect_failed_obj`.
   *
   * @param error - Why the connection attempt failed.
   */
  connectFailedObj(handler: Handler, error: SystemError): void {
    this.#call(handler, () => handler.handleConnectFailed(error));
  }

  /** Calls `handleEnd`: the peer has ended its side, and the handler has `allowHalfOpen`. */
  endObj(handler: Handler): void {
    this.#call(handler, () => handler.handleEnd());
  }

  /**
   * Calls `handleClose`. asynchia's `close_obj`.
   *
   * @param error - What broke the connection; undefined for an orderly end.
   */
  closeObj(handler: Handler, error?: SystemError): void {
    this.#call(handler, () => handler.handleClose(error));
  }

  /** Calls `handleTimeout`: no byte has moved for the handler's idle time. */
  timeoutObj(handler: Handler): void {
    this.#call(handler, () => handler.handleTimeout());
  }

  /** Calls `handleDrain`: all output that `sendAll` had to buffer is sent. */
  drainObj(handler: Handler): void {
    this.#call(handler, () => handler.handleDrain());
  }

  /** Calls `handleCleanup`: the handler is closed. asynchia's `cleanup_obj`. */
  cleanupObj(handler: Handler): void {
    this.#call(handler, () => handler.handleCleanup());
  }

  /**
   * Calls `handleError`. What `handleError` throws, or its promise rejects with, comes out of
   * `poll` or `runSync`, or rejects `run()`.
   *
   * @param error - What a callback has thrown.
   * @throws `TypeError` if `handler` is no `Handler`.
   */
  errorObj(handler: Handler, error: unknown): void {
    checkHandler(handler);
    const raise = (unhandled: unknown): void => {
      handler.socketMap[loopOf].raise(unhandled);
    };
    try {
      const result: unknown = handler[transportOf].runInAsyncScope(() =>
        handler.handleError(error),
      );
      if (isThenable(result)) result.then(undefined, raise);
    } catch (unhandled) {
      raise(unhandled);
    }
  }

  /**
   * Attaches to the promise that a callback has returned: if it rejects, `errorObj` is called with
   * the reason.
   *
   * @param result - What the callback has returned; anything but a promise is ignored.
   */
  settle(handler: Handler, result: unknown): void {
    if (result === undefined || !isThenable(result)) return;
    result.then(undefined, (error: unknown) => {
      report(handler, error);
    });
  }

  /** Whether `handleExcept` is overridden: urgent data is watched for only then. */
  wantsExcept(handler: Handler): boolean {
    return handler.handleExcept !== Handler.prototype.handleExcept;
  }

  #call(handler: Handler, callback: () => Handled): void {
    try {
      this.settle(handler, handler[transportOf].runInAsyncScope(callback));
    } catch (error) {
      report(handler, error);
    }
  }
}

// Functions of their own: a closure a call would cost more than the call.
const read = (handler: Handler): Handled => handler.handleRead();
const write = (handler: Handler): Handled => handler.handleWrite();

/** Reports to the map's own notifier, which may stand before this one. */
function report(handler: Handler, error: unknown): void {
  checkHandler(handler);
  try {
    handler.socketMap[loopOf].report(handler, error);
  } finally {
    if (pausedAsStuck(handler[transportOf])) warnOfPause(handler);
  }
}

function warnOfPause(handler: Handler): void {
  const text =
    `${util.inspect(handler, { depth: -1 })} is paused: its callbacks raised turn after turn, ` +
    'and nothing was read, sent or accepted; setReadable(true) or setWritable(true) resumes it';
  process.emitWarning(text, { type: 'StuckHandlerWarning', code: 'ASYNCHIA_STUCK_HANDLER' });
}

function checkHandler(handler: unknown): void {
  if (!(handler instanceof Handler)) throw typeError('handler', handler, 'a Handler');
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === 'function';
}
