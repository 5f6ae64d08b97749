/** The loop's own descriptors: how other threads, look-ups and signals wake it. */
import type { Guard } from '../sockets/lookups';
import { Waker } from '../sockets/waker';
import { checked } from '../system/errors';
import type { Kernel } from '../system/kernel';
import { type Backend, POLLIN } from '../system/readiness';

import { type Interrupt, interruptOf } from './interrupt';
import { SignalHandlers } from './signals';

export class Wakeups {
  readonly signals: SignalHandlers;
  readonly interrupt: Interrupt;
  readonly #kernel: Kernel;
  readonly #backend: Backend;
  readonly #woken: (guard: Guard) => void;
  /** One a waker, though it may be the same function. */
  readonly #listeners = new Set<{ readonly fn: () => void }>();
  /** An eventfd(2), made when another thread or a look-up first needs it. */
  #wakeup = -1;
  #isInterruptWatched = false;

  /** `woken` is called in the turn that a wake-up brings. */
  constructor(kernel: Kernel, backend: Backend, woken: (guard: Guard) => void) {
    this.#kernel = kernel;
    this.#backend = backend;
    this.#woken = woken;
    this.signals = new SignalHandlers(kernel, backend);
    this.interrupt = interruptOf(kernel);
    // Also what arrives between here and the first wait must not get lost.
    this.interrupt.begin();
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

  /** For a wait that blocks, and so keeps Node's loop from turning. */
  watchInterrupt(): void {
    if (!this.#isInterruptWatched && this.interrupt.fd >= 0) {
      // Where it fails, for want of memory, say, the next wait tries again.
      this.#isInterruptWatched = this.#backend.add(this.interrupt.fd, POLLIN) >= 0;
    }
    this.interrupt.begin();
  }

  /** Inside Node's loop nothing has to be interrupted. epoll(7): the two would contain each other. */
  unwatchInterrupt(): void {
    if (this.#isInterruptWatched) this.#backend.remove(this.interrupt.fd);
    this.#isInterruptWatched = false;
  }

  /** Handles a ready descriptor. Returns false where it is none of these. */
  ready(fd: number, guard: Guard): boolean {
    if (fd < 0) return false;
    if (fd === this.interrupt.fd) {
      this.interrupt.drain();
      this.interrupt.deliver(guard);
      return true;
    }
    if (fd !== this.#wakeup) return this.signals.ready(fd, guard);
    this.#kernel.drainWakeup(fd);
    this.#woken(guard);
    // A copy: a function may make wakers, and close others.
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) guard(listener.fn);
    }
    return true;
  }

  close(): void {
    this.signals.close();
    if (this.#wakeup >= 0) this.#kernel.close(this.#wakeup);
  }

  #watch(syscall: string, fd: number): number {
    checked(syscall, fd);
    const result = this.#backend.add(fd, POLLIN);
    if (result < 0) this.#kernel.close(fd);
    checked(`${this.#backend.name} registration`, result);
    return fd;
  }
}
