/** The loop's own descriptors: how other threads and look-ups wake it, and how a thread is ended. */
import { isMainThread } from 'node:worker_threads';

import type { Guard } from '../sockets/lookups';
import { Waker } from '../sockets/waker';
import { checked } from '../system/errors';
import type { Kernel } from '../system/kernel';
import { type Backend, POLLIN } from '../system/readiness';

export class Wakeups {
  readonly #kernel: Kernel;
  readonly #backend: Backend;
  readonly #woken: (guard: Guard) => void;
  /** One a waker, though it may be the same function. */
  readonly #listeners = new Set<{ readonly fn: () => void }>();
  /** An eventfd(2), made when another thread or a look-up first needs it. */
  #wakeup = -1;
  /** Becomes readable when this thread, which may block in a wait, is to be terminated. */
  #interrupt = -1;

  /** `woken` is called in the turn that a wake-up brings. */
  constructor(kernel: Kernel, backend: Backend, woken: (guard: Guard) => void) {
    this.#kernel = kernel;
    this.#backend = backend;
    this.#woken = woken;
  }

  /** The eventfd that a look-up writes to when it is done. */
  fd(): number {
    if (this.#wakeup < 0) this.#wakeup = this.#watch('eventfd', this.#kernel.createWakeup());
    return this.#wakeup;
  }

  /** Makes what another thread wakes this loop with. */
  add(fn: () => void): Waker {
    const fd = checked('dup', this.#kernel.duplicate(this.fd()));
    const listener = { fn };
    this.#listeners.add(listener);
    return Waker.of(fd, () => this.#listeners.delete(listener));
  }

  /** A worker that blocks in a wait does not run libuv's loop, which learns of a termination. */
  watchInterrupt(): void {
    if (isMainThread || this.#interrupt >= 0) return;
    this.#interrupt = this.#watch('epoll_create1', this.#kernel.createInterrupt());
  }

  /** Handles a ready descriptor. Returns false where it is none of these. */
  ready(fd: number, guard: Guard): boolean {
    if (fd < 0 || (fd !== this.#wakeup && fd !== this.#interrupt)) return false;
    if (fd === this.#interrupt) {
      this.drainInterrupt(fd);
      return true;
    }
    this.#kernel.drainWakeup(fd);
    this.#woken(guard);
    // A copy: a function may make wakers, and close others.
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) guard(listener.fn);
    }
    return true;
  }

  /** Returns false where `fd` is not the interrupt. Being called is all that termination needs. */
  drainInterrupt(fd: number | undefined): boolean {
    if (fd !== this.#interrupt || this.#interrupt < 0) return false;
    this.#kernel.drainInterrupt(fd);
    return true;
  }

  close(): void {
    for (const fd of [this.#wakeup, this.#interrupt]) if (fd >= 0) this.#kernel.close(fd);
  }

  #watch(syscall: string, fd: number): number {
    checked(syscall, fd);
    const result = this.#backend.add(fd, POLLIN);
    if (result < 0) this.#kernel.close(fd);
    checked(`${this.#backend.name} registration`, result);
    return fd;
  }
}
