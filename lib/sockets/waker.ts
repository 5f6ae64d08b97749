/** Wakers: how another thread wakes a map. */
import { checkInteger, typeError } from '../system/arguments';
import { binding } from '../system/binding';
import { checked, closedError } from '../system/errors';

/**
 * Wakes a map from any thread of the process, whatever the map is blocked in. Made by
 * `map.createWaker()` and handed over by `postMessage`; the other thread says
 * `new Waker(message)`. It has a descriptor of its own (an eventfd(2)) that outlives the map, so
 * waking a map that is closed is harmless; whoever has it last closes it.
 */
export class Waker {
  /** The descriptor inside; -1 once closed. All that a posted waker consists of. */
  descriptor: number;
  /** Private, and so nothing that is posted: what its map knows it by. */
  #forget: (() => void) | undefined = undefined;

  /** Takes what `map.createWaker()` made, or what arrived of it by `postMessage`. */
  constructor(waker: { readonly descriptor: number }) {
    if (typeof waker !== 'object' || (waker as unknown) === null) {
      throw typeError('waker', waker, 'a Waker, as it was posted');
    }
    checkInteger('waker.descriptor', waker.descriptor);
    this.descriptor = waker.descriptor;
  }

  /** @internal For the thread that made it, where closing it has the map forget it. */
  static of(descriptor: number, forget: () => void): Waker {
    const waker = new Waker({ descriptor });
    waker.#forget = forget;
    return waker;
  }

  /** Makes the map's current or next wait return. Any number of calls before that count as one. */
  wake(): void {
    if (this.descriptor < 0) throw closedError('wake', 'Waker');
    checked('write', binding.wake(this.descriptor));
  }

  /**
   * Closes the descriptor; what `createWaker` returned also has its `fn` forgotten. Closing again
   * does nothing.
   */
  close(): void {
    const { descriptor } = this;
    this.descriptor = -1;
    if (descriptor >= 0) binding.close(descriptor);
    this.#forget?.();
    this.#forget = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
