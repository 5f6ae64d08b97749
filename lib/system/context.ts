/**
 * Asynchronous contexts: what an `AsyncLocalStorage` and async hooks see as the cause of a callback.
 * A loop calls back on behalf of many, so each callback enters the context of its own cause.
 */
import { AsyncResource } from 'node:async_hooks';

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
