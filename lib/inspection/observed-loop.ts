/** A main loop that reports to an observer what it does. */
import type { AsyncResource } from 'node:async_hooks';

import { handlerOf } from '../handlers/handler';
import { MainLoop } from '../loop/main-loop';
import type { QueuedTimer } from '../loop/timers';
import type { Notifier } from '../notifier';
import type { LookupResult } from '../sockets/lookups';
import type { Waker } from '../sockets/waker';
import type { Kernel } from '../system/kernel';
import { readinessText } from '../system/readiness';
import type { Transport } from '../transport/transport';

import { ObservedNotifier } from './observed-notifier';
import { errorText, type Observer } from './observer';

export class ObservedLoop extends MainLoop {
  readonly #observer: Observer;

  constructor(kernel: Kernel, name: string, notifier: Notifier, observer: Observer) {
    super(kernel, name, new ObservedNotifier(notifier, observer));
    this.#observer = observer;
  }

  override register(transport: Transport): void {
    super.register(transport);
    this.#observer.handlerAdded(handlerOf(transport));
  }

  override deregister(transport: Transport): void {
    super.deregister(transport);
    this.#observer.handlerRemoved(handlerOf(transport));
  }

  override callIn(seconds: number, fn: () => void, context?: AsyncResource): QueuedTimer {
    this.#observer.trace?.(`callIn in ${seconds} seconds: ${fn.name || 'anonymous'}`);
    return super.callIn(seconds, this.#observer.measured('callIn', fn), context);
  }

  override callSynchronized(fn: () => void, context?: AsyncResource): void {
    super.callSynchronized(this.#observer.measured('callSynchronized', fn), context);
  }

  override createWaker(fn: () => void, context?: AsyncResource): Waker {
    return super.createWaker(this.#observer.measured('createWaker', fn), context);
  }

  override wake(): void {
    this.#observer.trace?.('wakeup');
    super.wake();
  }

  override raise(error: unknown): void {
    this.#observer.trace?.(`comes out of the loop: ${errorText(error)}`);
    super.raise(error);
  }

  override resolve(hostname: string, done: (result: LookupResult) => void): void {
    this.#observer.trace?.(`looks up ${hostname}`);
    super.resolve(hostname, done);
  }

  override close(): void {
    if (!this.isClosed) this.#observer.trace?.('close');
    super.close();
  }

  protected override beginTurn(ready: Int32Array, count: number): void {
    super.beginTurn(ready, count);
    if (this.#observer.trace === undefined || count === 0) return;
    const events = Array.from({ length: count }, (_, i) => {
      return `${ready[2 * i]} ${readinessText(ready[2 * i + 1] ?? 0)
        .replaceAll('POLL', '')
        .toLowerCase()}`;
    });
    this.#observer.trace(`turn ${this.turn}: ${events.join(', ')}`);
  }
}
