/** Waker: lets another thread wake a map. */
import { checkInteger, typeError } from '../system/arguments';
import { binding } from '../system/binding';
import { checked, closedError } from '../system/errors';

/**
 * Wakes a map from any thread of the process, also while the map waits in `poll` or `runSync`.
 *
 * `map.createWaker()` makes it. Post it to another thread with `postMessage`, and make a `Waker` of
 * the message there: `new Waker(message)`. It owns a descriptor (an eventfd(2)) that stays open
 * when the map is closed: to wake a closed map does nothing. The original and its copies share the
 * descriptor, so only one of them calls `close`, when none is used any more.
 */
export class Waker {
  /** The eventfd(2); -1 after `close`. The only field that `postMessage` copies. */
  descriptor: number;
  /** Removes the map's callback. Private, so that `postMessage` does not copy it. */
  #forget: (() => void) | undefined = undefined;

  /**
   * Makes the waker of another thread.
   *
   * @param waker - A `Waker`, or the object that `postMessage` made of one.
   * @throws `TypeError` or `RangeError` if it has no descriptor.
   */
  constructor(waker: { readonly descriptor: number }) {
    if (typeof waker !== 'object' || (waker as unknown) === null) {
      throw typeError('waker', waker, 'a Waker, as it was posted');
    }
    checkInteger('waker.descriptor', waker.descriptor);
    this.descriptor = waker.descriptor;
  }

  /** @internal Makes the original of a waker. `forget` is called when it is closed. */
  static of(descriptor: number, forget: () => void): Waker {
    const waker = new Waker({ descriptor });
    waker.#forget = forget;
    return waker;
  }

  /**
   * Makes the current or the next wait of the map return, and the map call the functions given to
   * `createWaker`. Several calls before that count as one.
   *
   * @throws `Error` with the code `ERR_CLOSED` after `close`; `SystemError` (`EBADF`) if the
   * descriptor was closed elsewhere.
   */
  wake(): void {
    if (this.descriptor < 0) throw closedError('wake', 'Waker');
    checked('write', binding.wake(this.descriptor));
  }

  /**
   * Closes the descriptor. If this is the waker that `createWaker` returned, the map also stops
   * calling its function. A second call does nothing.
   */
  close(): void {
    const { descriptor } = this;
    this.descriptor = -1;
    if (descriptor >= 0) binding.close(descriptor);
    this.#forget?.();
    this.#forget = undefined;
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
