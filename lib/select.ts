/// <reference types="node" preserve="true" />
/**
 * The raw readiness calls, for any descriptor and without a map, after Python's `select` module.
 * They block the thread while they wait. Times are in seconds.
 *
 * @packageDocumentation
 */
import os from 'node:os';
import { isMainThread } from 'node:worker_threads';

import { checkInteger, checkSeconds, MAX_INT32, typeError } from './system/arguments';
import { binding } from './system/binding';
import { checked, closedError } from './system/errors';
import { POLLIN, POLLOUT, POLLPRI } from './system/readiness';

/** The same as `POLLIN` for streams. poll(2) */
export const POLLRDNORM = 0x040;
/** Priority band data can be read, if the protocol has it. */
export const POLLRDBAND = 0x080;
/** The same as `POLLOUT` for streams. */
export const POLLWRNORM = 0x100;
/** Priority band data can be written, if the protocol has it. */
export const POLLWRBAND = 0x200;
/** Ignored by Linux: it is never reported. */
export const POLLMSG = 0x400;

export {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  POLLRDHUP,
} from './system/readiness';

/** There is something to read. epoll_ctl(2) describes all `EPOLL*` constants. */
export const EPOLLIN = 0x001;
/** There is urgent data to read. */
export const EPOLLPRI = 0x002;
/** A write would not block. */
export const EPOLLOUT = 0x004;
/** An error is pending. Reported even if the mask does not ask for it. */
export const EPOLLERR = 0x008;
/** Both directions are closed. Reported even if the mask does not ask for it. */
export const EPOLLHUP = 0x010;
/** The peer has closed its writing side. */
export const EPOLLRDHUP = 0x2000;
/** The same as `EPOLLIN` for streams. */
export const EPOLLRDNORM = 0x040;
/** Priority band data can be read, if the protocol has it. */
export const EPOLLRDBAND = 0x080;
/** The same as `EPOLLOUT` for streams. */
export const EPOLLWRNORM = 0x100;
/** Priority band data can be written, if the protocol has it. */
export const EPOLLWRBAND = 0x200;
/** Ignored by Linux: it is never reported. */
export const EPOLLMSG = 0x400;
/** If several epoll instances watch the descriptor, an event wakes one or more of them, not all. */
export const EPOLLEXCLUSIVE = 1 << 28;
/** Reports one event, then nothing until `modify`. */
export const EPOLLONESHOT = 1 << 30;
/** Edge-triggered: reports a change of readiness once, not for as long as it lasts. */
export const EPOLLET = 1 << 31;

/** A write of at most this many bytes to a pipe is not mixed with the writes of others. pipe(7) */
export const PIPE_BUF = 4096;

/** A descriptor's number, or an object with `fileno()`: a `Socket`, a `Handler`. */
export type Descriptor =
  | number
  | {
      /** The descriptor's number. */
      fileno(): number;
    };

/** A ready descriptor, and its readiness: `POLL*` or `EPOLL*` bits. */
export type ReadyDescriptor = [fd: number, bits: number];

/** The operations of `binding.epollControl`. */
const CONTROL = { add: 1, remove: 2, modify: 3 } as const;

/** The number of a descriptor. `name` is the argument that it came in. */
function numberOf(name: string, descriptor: unknown): number {
  const fd =
    typeof descriptor === 'object' && descriptor !== null && 'fileno' in descriptor
      ? typeof descriptor.fileno === 'function' && (descriptor as { fileno(): unknown }).fileno()
      : descriptor;
  if (typeof fd !== 'number') {
    throw typeError(
      name,
      descriptor,
      'a descriptor number, or an object whose fileno() returns one',
    );
  }
  checkInteger(name, fd);
  return fd;
}

/**
 * The longest single wait of a worker thread: `worker.terminate()` takes effect only between two
 * waits.
 */
const SLICE_MS = 500;

/** For `Poll` and `Epoll`, as in Python: a negative time is no limit. */
function untilForever(seconds: number): number {
  return typeof seconds === 'number' && seconds < 0 ? Infinity : seconds;
}

/** Repeats `call`, which takes milliseconds, until it returns no 0 or `seconds` have passed. */
function waitBy(seconds: number, call: (timeoutMs: number) => number): number {
  checkSeconds('seconds', seconds, true);
  if (isMainThread) return call(seconds * 1000);
  const endMs = binding.monotonicMs() + seconds * 1000;
  for (;;) {
    const leftMs = Math.max(0, endMs - binding.monotonicMs());
    const result = call(Math.min(leftMs, SLICE_MS));
    if (result !== 0 || leftMs <= SLICE_MS) return result;
  }
}

/**
 * Waits until a descriptor is ready. select(2), without its limit of 1024 descriptors; Python's
 * `select.select`.
 *
 * @param read - Descriptors to wait for until they can be read from.
 * @param write - Descriptors to wait for until they can be written to.
 * @param except - Descriptors to wait for until urgent data arrives.
 * @param seconds - The longest wait, 0 or more; without limit if omitted. 0 does not wait.
 * @returns The elements of each list that are ready. All three are empty if the time has passed.
 * @throws `SystemError`: `EBADF` if a descriptor is not open.
 */
export function select<R extends Descriptor, W extends Descriptor, X extends Descriptor>(
  read: readonly R[],
  write: readonly W[],
  except: readonly X[],
  seconds = Infinity,
): [readable: R[], writable: W[], exceptional: X[]] {
  const lists = [listed('read', read), listed('write', write), listed('except', except)] as const;
  const numbers = (): [Int32Array, Int32Array, Int32Array] => [
    lists[0].numbers.slice(),
    lists[1].numbers.slice(),
    lists[2].numbers.slice(),
  ];
  let ready = numbers();
  const count = waitBy(seconds, (timeoutMs) => {
    ready = numbers();
    return binding.select(...ready, timeoutMs);
  });
  checked('select', count);
  // binding.select overwrites what is not ready with -1.
  return [
    lists[0].objects.filter((_, i) => ready[0][i] !== -1),
    lists[1].objects.filter((_, i) => ready[1][i] !== -1),
    lists[2].objects.filter((_, i) => ready[2][i] !== -1),
  ];
}

/** The elements of a list, as long as it is: a `fileno()` may change it; and their numbers. */
function listed<D extends Descriptor>(
  name: string,
  list: readonly D[],
): { readonly objects: readonly D[]; readonly numbers: Int32Array } {
  if (!Array.isArray(list)) throw typeError(name, list, 'an array of descriptors');
  const objects: D[] = [];
  const numbers: number[] = [];
  for (const descriptor of list as readonly D[]) {
    numbers.push(numberOf(name, descriptor));
    objects.push(descriptor);
  }
  return { objects, numbers: Int32Array.from(numbers) };
}

/**
 * A set of descriptors to wait for with poll(2). Python's `select.poll`. After `close`, every
 * method but `close` and `fileno` throws an `Error` with the code `ERR_CLOSED`.
 */
export class Poll {
  readonly #masks = new Map<number, number>();
  #isClosed = false;

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /**
   * Registers a descriptor. If it is registered already, its mask is replaced. `poll` reports a
   * descriptor that is not open as `POLLNVAL`.
   *
   * @param mask - The `POLL*` bits to wait for, from 0 to 0x7fff. `POLLERR`, `POLLHUP` and
   * `POLLNVAL` are always reported.
   */
  register(descriptor: Descriptor, mask: number = POLLIN | POLLPRI | POLLOUT): void {
    this.#assertOpen('register');
    checkInteger('mask', mask, 0, 0x7fff);
    this.#masks.set(numberOf('descriptor', descriptor), mask);
  }

  /**
   * Changes the mask of a registered descriptor.
   *
   * @param mask - As for `register`.
   * @throws `SystemError`: `ENOENT` if the descriptor is not registered.
   */
  modify(descriptor: Descriptor, mask: number): void {
    this.#assertOpen('modify');
    const fd = numberOf('descriptor', descriptor);
    checkInteger('mask', mask, 0, 0x7fff);
    if (!this.#masks.has(fd)) checked('poll modify', -os.constants.errno.ENOENT);
    this.#masks.set(fd, mask);
  }

  /**
   * Deregisters a descriptor.
   *
   * @throws `SystemError`: `ENOENT` if the descriptor is not registered.
   */
  unregister(descriptor: Descriptor): void {
    this.#assertOpen('unregister');
    const fd = numberOf('descriptor', descriptor);
    if (!this.#masks.delete(fd)) checked('poll unregister', -os.constants.errno.ENOENT);
  }

  /**
   * Waits until a registered descriptor is ready.
   *
   * @param seconds - The longest wait; without limit if omitted or negative. 0 does not wait.
   * @returns The ready descriptors with their `POLL*` bits; empty if the time has passed.
   */
  poll(seconds = Infinity): ReadyDescriptor[] {
    this.#assertOpen('poll');
    const wanted = Int32Array.from([...this.#masks].flat());
    let pairs = wanted;
    const count = waitBy(untilForever(seconds), (timeoutMs) => {
      pairs = wanted.slice();
      return binding.poll(pairs, timeoutMs);
    });
    checked('poll', count);
    return readyIn(pairs, pairs.length / 2);
  }

  /** Deregisters all descriptors. A second call does nothing. */
  close(): void {
    this.#isClosed = true;
    this.#masks.clear();
  }

  /** Always -1: poll(2) needs no descriptor of its own. */
  fileno(): number {
    return -1;
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #assertOpen(method: string): void {
    if (this.#isClosed) throw closedError(method, 'Poll');
  }
}

/**
 * A set of descriptors to wait for with epoll(7), level-triggered unless the mask has `EPOLLET`.
 * Python's `select.epoll`. After `close`, every method but `close` and `fileno` throws an `Error`
 * with the code `ERR_CLOSED`.
 */
export class Epoll {
  #fd: number;

  /**
   * Makes an epoll instance. epoll_create1(2)
   *
   * @throws `SystemError`: `EMFILE` or `ENFILE` if there is no free descriptor.
   */
  constructor() {
    this.#fd = checked('epoll_create1', binding.epollCreate());
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#fd < 0;
  }

  /**
   * Registers a descriptor. epoll_ctl(2)
   *
   * @param mask - The `EPOLL*` bits to wait for, and flags (`EPOLLET`, `EPOLLONESHOT`,
   * `EPOLLEXCLUSIVE`). `EPOLLERR` and `EPOLLHUP` are always reported.
   * @throws `SystemError`: `EEXIST` if it is registered already, `EPERM` if epoll does not support
   * its kind (regular files), `EBADF` if it is not open, `ENOSPC` at the limit of watches.
   */
  register(descriptor: Descriptor, mask: number = EPOLLIN | EPOLLPRI | EPOLLOUT): void {
    this.#control('register', CONTROL.add, descriptor, mask);
  }

  /**
   * Changes the mask of a registered descriptor, and reports again after `EPOLLONESHOT`.
   *
   * @param mask - As for `register`.
   * @throws `SystemError`: `ENOENT` if the descriptor is not registered, `EBADF` if it is not open.
   */
  modify(descriptor: Descriptor, mask: number): void {
    this.#control('modify', CONTROL.modify, descriptor, mask);
  }

  /**
   * Deregisters a descriptor.
   *
   * @throws `SystemError`: `ENOENT` if the descriptor is not registered, `EBADF` if it is not open.
   */
  unregister(descriptor: Descriptor): void {
    this.#control('unregister', CONTROL.remove, descriptor, 0);
  }

  /**
   * Waits until a registered descriptor is ready. epoll_wait(2)
   *
   * @param seconds - The longest wait; without limit if omitted or negative. 0 does not wait.
   * @param maxEvents - The most descriptors that are returned, from 1 to 65536. More that are ready
   * are reported by the next calls.
   * @returns The ready descriptors with their `EPOLL*` bits; empty if the time has passed.
   */
  poll(seconds = Infinity, maxEvents = 1024): ReadyDescriptor[] {
    this.#assertOpen('poll');
    checkInteger('maxEvents', maxEvents, 1, 65536);
    const pairs = new Int32Array(2 * maxEvents);
    const count = waitBy(untilForever(seconds), (timeoutMs) =>
      binding.epollWait(this.#fd, pairs, timeoutMs),
    );
    return readyIn(pairs, checked('epoll_wait', count));
  }

  /** Closes the epoll instance. A second call does nothing. */
  close(): void {
    if (this.#fd < 0) return;
    binding.close(this.#fd);
    this.#fd = -1;
  }

  /** The descriptor of the epoll instance; -1 after `close`. */
  fileno(): number {
    return this.#fd;
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #control(method: string, operation: number, descriptor: Descriptor, mask: number): void {
    this.#assertOpen(method);
    const fd = numberOf('descriptor', descriptor);
    checkInteger('mask', mask, -MAX_INT32 - 1);
    checked('epoll_ctl', binding.epollControl(this.#fd, operation, fd, mask));
  }

  #assertOpen(method: string): void {
    if (this.#fd < 0) throw closedError(method, 'Epoll');
  }
}

/** The first `count` (descriptor, bits) pairs, without those whose bits are 0. */
function readyIn(pairs: Int32Array, count: number): ReadyDescriptor[] {
  const ready: ReadyDescriptor[] = [];
  for (let i = 0; i < 2 * count; i += 2) {
    const bits = pairs[i + 1] ?? 0;
    if (bits !== 0) ready.push([pairs[i] ?? -1, bits]);
  }
  return ready;
}
