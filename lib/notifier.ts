/** The notifier: between a map, which finds out what is pending, and the handlers. */
import { typeError } from './system/arguments';
import type { SystemError } from './system/errors';
import { Handler, type Handled } from './handlers/handler';
import type { Callbacks } from './transport/callbacks';
import { loopOf } from './transport/loop';

/**
 * Calls a handler's `handle*` methods and takes care of what they throw. A subclass can stand
 * before every callback of a map: `new EpollSocketMap({ notifier })`. asynchia's `Notifier`.
 */
export class Notifier implements Callbacks {
  /** There is something to read, or to accept. */
  readObj(handler: Handler): void {
    try {
      this.settle(handler, handler.handleRead());
    } catch (error) {
      report(handler, error);
    }
  }

  /** A write would not block. */
  writeObj(handler: Handler): void {
    try {
      this.settle(handler, handler.handleWrite());
    } catch (error) {
      report(handler, error);
    }
  }

  /** Urgent data, or an error that left the connection standing. */
  exceptObj(handler: Handler, error?: SystemError): void {
    this.#call(handler, () => handler.handleExcept(error));
  }

  /** A connection stands. */
  connectObj(handler: Handler): void {
    this.#call(handler, () => handler.handleConnect());
  }

  /** A connection attempt failed. */
  connectFailedObj(handler: Handler, error: SystemError): void {
    this.#call(handler, () => handler.handleConnectFailed(error));
  }

  /** The peer has ended its side, and the handler keeps its own. */
  endObj(handler: Handler): void {
    this.#call(handler, () => handler.handleEnd());
  }

  /** The remote end has closed. */
  closeObj(handler: Handler, error?: SystemError): void {
    this.#call(handler, () => handler.handleClose(error));
  }

  /** The handler has been idle for too long. */
  timeoutObj(handler: Handler): void {
    this.#call(handler, () => handler.handleTimeout());
  }

  /** All output that `sendAll` had to buffer is sent. */
  drainObj(handler: Handler): void {
    this.#call(handler, () => handler.handleDrain());
  }

  /** The handler is over. */
  cleanupObj(handler: Handler): void {
    this.#call(handler, () => handler.handleCleanup());
  }

  /** A callback threw. What `handleError` throws itself comes out of the loop. */
  errorObj(handler: Handler, error: unknown): void {
    checkHandler(handler);
    const raise = (unhandled: unknown): void => {
      handler.socketMap[loopOf].raise(unhandled);
    };
    try {
      const result: unknown = handler.handleError(error);
      if (isThenable(result)) result.then(undefined, raise);
    } catch (unhandled) {
      raise(unhandled);
    }
  }

  /** Handles what a callback has returned: where that is a promise, and it rejects, `errorObj` is called. */
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
      this.settle(handler, callback());
    } catch (error) {
      report(handler, error);
    }
  }
}

/** Reports to the notifier that the map has: this one may stand behind another. */
function report(handler: Handler, error: unknown): void {
  checkHandler(handler);
  handler.socketMap[loopOf].report(handler, error);
}

function checkHandler(handler: unknown): void {
  if (!(handler instanceof Handler)) throw typeError('handler', handler, 'a Handler');
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null)?.then === 'function';
}
