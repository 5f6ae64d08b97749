/**
 * Asynchronous contexts: what an `AsyncLocalStorage` and async hooks see as the cause of a callback.
 * A loop calls back on behalf of many, so each callback enters the context of its own cause.
 */
import { AsyncResource } from 'node:async_hooks';

/** Destroyed when its handler is closed, not when it is collected. */
const OF_HANDLER = { requireManualDestroy: true };

/** The context of a new handler's callbacks: what is current where the handler is made. */
export function handlerContext(): AsyncResource {
  return new AsyncResource('asynchia.Handler', OF_HANDLER);
}

/** The context of the caller, for a function that is called later. */
export function callContext(): AsyncResource {
  return new AsyncResource('asynchia.Call');
}

/** `fn`, to be called in a context; as it is where there is none. */
export function inContext(context: AsyncResource | undefined, fn: () => void): () => void {
  if (context === undefined) return fn;
  return () => {
    context.runInAsyncScope(fn);
  };
}
