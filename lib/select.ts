/**
 * The raw readiness calls, usable by themselves on any descriptor, after Python's `select` module.
 * Times are seconds everywhere.
 *
 * @packageDocumentation
 */
import os from 'node:os';
import { isMainThread } from 'node:worker_threads';

import { checkInteger, checkSeconds, MAX_INT32, typeError } from './system/arguments';
import { binding } from './system/binding';
import { checked, closedError } from './system/errors';
import { POLLIN, POLLOUT, POLLPRI } from './system/readiness';

/** As `POLLIN` for streams. poll(2), as are all of these. */
export const POLLRDNORM = 0x040;
/** Data of a priority band of its own can be read, where a protocol has those. */
export const POLLRDBAND = 0x080;
/** As `POLLOUT` for streams. */
export const POLLWRNORM = 0x100;
/** Data of a priority band of its own may be written. */
export const POLLWRBAND = 0x200;
/** Linux knows it, and never reports it. */
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

/** There is something to read. epoll_ctl(2), as are all that follow. */
export const EPOLLIN = 0x001;
/** Urgent data. */
export const EPOLLPRI = 0x002;
/** A write would not block. */
export const EPOLLOUT = 0x004;
/** An error is pending; reported unasked. */
export const EPOLLERR = 0x008;
/** Both directions are closed; reported unasked. */
export const EPOLLHUP = 0x010;
/** The peer has closed its writing side. */
export const EPOLLRDHUP = 0x2000;
/** As `EPOLLIN` for streams. */
export const EPOLLRDNORM = 0x040;
/** Data of a priority band of its own can be read, where a protocol has those. */
export const EPOLLRDBAND = 0x080;
/** As `EPOLLOUT` for streams. */
export const EPOLLWRNORM = 0x100;
/** Data of a priority band of its own may be written. */
export const EPOLLWRBAND = 0x200;
/** Linux knows it, and never reports it. */
export const EPOLLMSG = 0x400;
/** Of several epoll instances that watch the descriptor, wakes one or more rather than all. */
export const EPOLLEXCLUSIVE = 1 << 28;
/** Reports once, then nothing until `modify`. */
export const EPOLLONESHOT = 1 << 30;
/** Edge-triggered: reports what is new, not what still holds. */
export const EPOLLET = 1 << 31;

/** So many bytes at most that are written to a pipe are not mixed with others'. pipe(7) */
export const PIPE_BUF = 4096;

/** A descriptor's number, or whatever has one. */
export type Descriptor = number | { fileno(): number };

/** What is ready: a descriptor and the bits that hold for it. */
export type ReadyDescriptor = [fd: number, bits: number];

const CONTROL = { add: 1, remove: 2, modify: 3 } as const;

function numberOf(name: string, descriptor: unknown): number {
  const fd =
    typeof descriptor === 'object' && descriptor !== null && 'fileno' in descriptor
      ? typeof descriptor.fileno === 'function' && (descriptor as { fileno(): unknown }).fileno()
      : descriptor;
  if (typeof fd !== 'number') {
    throw typeError(name, descriptor, 'a descriptor, or an object with fileno()');
  }
  checkInteger(name, fd);
  return fd;
}

/** How long a worker waits at a time: one that is terminated ends when it is back in JavaScript. */
const SLICE_MS = 500;

/** Waits by `call`, which is given milliseconds, until it brings something or `seconds` are over. */
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
 * select(2): which descriptors can be read from, can be written to, have something exceptional.
 * Waits at most `seconds` (omitted: without end). Returns three lists of what was handed in; all
 * are empty where the time went by. Descriptors may be above 1023. Throws `EBADF` where one is not
 * open.
 */
export function select<R extends Descriptor, W extends Descriptor, X extends Descriptor>(
  read: readonly R[],
  write: readonly W[],
  except: readonly X[],
  seconds = Infinity,
): [readable: R[], writable: W[], exceptional: X[]] {
  const wanted = Object.entries({ read, write, except }).map(([name, list]) => {
    if (!Array.isArray(list)) throw typeError(name, list, 'an array of descriptors');
    return Int32Array.from(list, (descriptor: unknown) => numberOf(name, descriptor));
  }) as [Int32Array, Int32Array, Int32Array];
  let [reads, writes, excepts] = wanted;
  const count = waitBy(seconds, (timeoutMs) => {
    [reads, writes, excepts] = [wanted[0].slice(), wanted[1].slice(), wanted[2].slice()];
    return binding.select(reads, writes, excepts, timeoutMs);
  });
  checked('select', count);
  // What is not ready comes back as -1.
  return [
    read.filter((_, i) => reads[i] !== -1),
    write.filter((_, i) => writes[i] !== -1),
    except.filter((_, i) => excepts[i] !== -1),
  ];
}

/** What Poll and Epoll have in common. */
interface ReadinessObject {
  register(descriptor: Descriptor, mask?: number): void;
  modify(descriptor: Descriptor, mask: number): void;
  unregister(descriptor: Descriptor): void;
  poll(seconds?: number): ReadyDescriptor[];
  close(): void;
  fileno(): number;
}

/** poll(2) as an object that remembers what it watches. Python's `select.poll`. */
export class Poll implements ReadinessObject {
  readonly #masks = new Map<number, number>();
  #isClosed = false;

  /** Whether it is closed. */
  get closed(): boolean {
    return this.#isClosed;
  }

  /**
   * Watches a descriptor for the bits of `mask`; one that is watched already gets the new mask. A
   * descriptor that is not open is reported as `POLLNVAL`.
   */
  register(descriptor: Descriptor, mask: number = POLLIN | POLLPRI | POLLOUT): void {
    this.#assertOpen('register');
    checkInteger('mask', mask, 0, 0x7fff);
    this.#masks.set(numberOf('descriptor', descriptor), mask);
  }

  /** Changes the mask. Throws `ENOENT` where the descriptor is not watched. */
  modify(descriptor: Descriptor, mask: number): void {
    this.#assertOpen('modify');
    const fd = numberOf('descriptor', descriptor);
    checkInteger('mask', mask, 0, 0x7fff);
    if (!this.#masks.has(fd)) checked('poll modify', -os.constants.errno.ENOENT);
    this.#masks.set(fd, mask);
  }

  /** Ends watching. Throws `ENOENT` where the descriptor is not watched. */
  unregister(descriptor: Descriptor): void {
    this.#assertOpen('unregister');
    const fd = numberOf('descriptor', descriptor);
    if (!this.#masks.delete(fd)) checked('poll unregister', -os.constants.errno.ENOENT);
  }

  /** Waits at most `seconds` (omitted: without end); an empty list where the time went by. */
  poll(seconds = Infinity): ReadyDescriptor[] {
    this.#assertOpen('poll');
    const wanted = Int32Array.from([...this.#masks].flat());
    let pairs = wanted;
    const count = waitBy(seconds, (timeoutMs) => {
      pairs = wanted.slice();
      return binding.poll(pairs, timeoutMs);
    });
    checked('poll', count);
    return readyIn(pairs, pairs.length / 2);
  }

  /** Forgets what it watches. Closing again does nothing. */
  close(): void {
    this.#isClosed = true;
    this.#masks.clear();
  }

  /** -1: poll(2) needs no descriptor of its own. */
  fileno(): number {
    return -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #assertOpen(method: string): void {
    if (this.#isClosed) throw closedError(method, 'Poll');
  }
}

/** epoll(7), with all its flags. Python's `select.epoll`. */
export class Epoll implements ReadinessObject {
  #fd: number;

  /** epoll_create1(2). Throws `EMFILE` where the process is out of descriptors. */
  constructor() {
    this.#fd = checked('epoll_create1', binding.epollCreate());
  }

  /** Whether it is closed. */
  get closed(): boolean {
    return this.#fd < 0;
  }

  /**
   * Watches a descriptor for the bits of `mask`. Throws `EEXIST` where it is watched already,
   * `EPERM` where epoll refuses its kind (regular files), `EBADF` where it is not open.
   */
  register(descriptor: Descriptor, mask: number = EPOLLIN | EPOLLPRI | EPOLLOUT): void {
    this.#control('register', CONTROL.add, descriptor, mask);
  }

  /** Changes the mask. Throws `ENOENT` where the descriptor is not watched. */
  modify(descriptor: Descriptor, mask: number): void {
    this.#control('modify', CONTROL.modify, descriptor, mask);
  }

  /** Ends watching. Throws `ENOENT` where the descriptor is not watched. */
  unregister(descriptor: Descriptor): void {
    this.#control('unregister', CONTROL.remove, descriptor, 0);
  }

  /**
   * Waits at most `seconds` (omitted: without end) and returns at most `maxEvents` descriptors that
   * are ready; an empty list where the time went by.
   */
  poll(seconds = Infinity, maxEvents = 1024): ReadyDescriptor[] {
    this.#assertOpen('poll');
    checkInteger('maxEvents', maxEvents, 1, 65536);
    const pairs = new Int32Array(2 * maxEvents);
    const count = waitBy(seconds, (timeoutMs) => binding.epollWait(this.#fd, pairs, timeoutMs));
    return readyIn(pairs, checked('epoll_wait', count));
  }

  /** Closes the epoll instance. Closing again does nothing. */
  close(): void {
    if (this.#fd < 0) return;
    binding.close(this.#fd);
    this.#fd = -1;
  }

  /** The instance's own descriptor; -1 once closed. */
  fileno(): number {
    return this.#fd;
  }

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

function readyIn(pairs: Int32Array, count: number): ReadyDescriptor[] {
  const ready: ReadyDescriptor[] = [];
  for (let i = 0; i < 2 * count; i += 2) {
    const bits = pairs[i + 1] ?? 0;
    if (bits !== 0) ready.push([pairs[i] ?? -1, bits]);
  }
  return ready;
}
