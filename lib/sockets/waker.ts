/** Waker: lets another thread wake a map. */
import { checkInteger, typeError } from '../system/arguments';
import { binding } from '../system/binding';
import { checked, closedError } from '../system/errors';

/** In `Waker.shared`: it is closed; its last user is to close the descriptor; and how many use it. */
const CLOSED = 1;
const OWED = 2;
const ONE_USER = 4;

/**
 * Wakes a map from any thread of the process, also while the map waits in `poll` or `runSync`.
 *
 * `map.createWaker()` makes it. Post it to another thread with `postMessage`, and make a `Waker` of
 * the message there: `new Waker(message)`. It owns a descriptor (an eventfd(2)) that stays open
 * when the map is closed: to wake a closed map does nothing. The original and its copies share the
 * descriptor and know of each other, in whatever thread: after `close` of one, all are closed.
 */
export class Waker {
  /** The eventfd(2); -1 after `close`. This field and `shared` are what `postMessage` copies. */
  descriptor: number;
  /** What the original and its copies have in common: whether it is closed, and who writes. */
  readonly shared: Int32Array;
  /** Removes the map's callback. Private, so that `postMessage` does not copy it. */
  #forget: (() => void) | undefined = undefined;

  /**
   * Makes the waker of another thread.
   *
   * @param waker - A `Waker`, or the object that `postMessage` made of one.
   * @throws `TypeError` or `RangeError` if it has no descriptor.
   */
  constructor(waker: { readonly descriptor: number; readonly shared?: Int32Array }) {
    if (typeof waker !== 'object' || (waker as unknown) === null) {
      throw typeError('waker', waker, 'a Waker, as it was posted');
    }
    checkInteger('waker.descriptor', waker.descriptor);
    if (waker.shared !== undefined && !ArrayBuffer.isView(waker.shared)) {
      throw typeError('waker.shared', waker.shared, 'that of a Waker');
    }
    this.descriptor = waker.descriptor;
    this.shared = waker.shared ?? new Int32Array(new SharedArrayBuffer(4));
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
    // Closed by a copy: the number may be another file's by now.
    const isClosed = (Atomics.add(this.shared, 0, ONE_USER) & CLOSED) !== 0;
    const result = isClosed ? 0 : binding.wake(this.descriptor);
    this.#leave();
    if (isClosed) throw closedError('wake', 'Waker');
    checked('write', result);
  }

  /**
   * Closes the descriptor, for the copies too: their `wake` throws from now on. If this is the waker
   * that `createWaker` returned, the map also stops calling its function. A second call does nothing.
   */
  close(): void {
    const { descriptor } = this;
    this.descriptor = -1;
    if (descriptor >= 0) this.#closeShared(descriptor);
    this.#forget?.();
    this.#forget = undefined;
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Closes the descriptor now, or leaves that to a thread that writes to it just now. */
  #closeShared(descriptor: number): void {
    const { shared } = this;
    for (;;) {
      const state = Atomics.load(shared, 0);
      if (state & CLOSED) return;
      const next = state === 0 ? CLOSED : state | CLOSED | OWED;
      if (Atomics.compareExchange(shared, 0, state, next) !== state) continue;
      if (state === 0) binding.close(descriptor);
      return;
    }
  }

  #leave(): void {
    const { descriptor, shared } = this;
    const isLast = Atomics.sub(shared, 0, ONE_USER) === (ONE_USER | CLOSED | OWED);
    const owed = CLOSED | OWED;
    // Where another has come meanwhile, it is that one's.
    if (isLast && Atomics.compareExchange(shared, 0, owed, CLOSED) === owed) {
      binding.close(descriptor);
    }
  }
}
