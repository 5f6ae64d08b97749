/** A main loop, and its handler table, that report what they do to an observer. */
import type { Handler } from '../handlers/handler';
import type { Kernel } from '../kernel';
import { HandlerTable } from '../loop/handler-table';
import { MainLoop } from '../loop/main-loop';
import type { Notifier } from '../notifier';
import { readinessText } from '../readiness';
import type { LookupResult } from '../sockets/lookups';
import type { Waker } from '../sockets/waker';
import type { Timer } from '../timers';

import { ObservedNotifier } from './observed-notifier';
import { errorText, type Observer } from './observer';

/** A handler table that reports additions, removals, ready events and raised errors. */
class ObservedTable extends HandlerTable {
  readonly #observer: Observer;

  constructor(observer: Observer, ...parts: ConstructorParameters<typeof HandlerTable>) {
    super(...parts);
    this.#observer = observer;
  }

  override beginTurn(ready: Int32Array, count: number): void {
    super.beginTurn(ready, count);
    if (this.#observer.trace === undefined || count === 0) return;
    const events = Array.from({ length: count }, (_, i) => {
      return `${ready[2 * i]} ${readinessText(ready[2 * i + 1] ?? 0)}`;
    });
    this.#observer.trace(`turn ${this.turn}: ${events.join(', ')}`);
  }

  override expect(handler: Handler): void {
    super.expect(handler);
    this.#observer.handlerAdded(handler);
  }

  override add(handler: Handler): void {
    super.add(handler);
    this.#observer.handlerAdded(handler);
  }

  override delete(handler: Handler): void {
    super.delete(handler);
    this.#observer.handlerRemoved(handler);
  }

  override raise(error: unknown): void {
    this.#observer.trace?.(`comes out of the loop: ${errorText(error)}`);
    super.raise(error);
  }

  override resolve(hostname: string, done: (result: LookupResult) => void): void {
    this.#observer.trace?.(`looks up ${hostname}`);
    super.resolve(hostname, done);
  }
}

/** The main loop of an observed map. */
export class ObservedLoop extends MainLoop {
  readonly #observer: Observer;

  constructor(kernel: Kernel, name: string, notifier: Notifier, observer: Observer) {
    super(
      kernel,
      name,
      new ObservedNotifier(notifier, observer),
      (...parts) => new ObservedTable(observer, ...parts),
    );
    this.#observer = observer;
  }

  override addTimer(seconds: number, fn: () => void): Timer {
    this.#observer.trace?.(`callIn in ${seconds} seconds: ${fn.name || 'anonymous'}`);
    return super.addTimer(seconds, this.#observer.measured('callIn', fn));
  }

  override addCall(fn: () => void): void {
    super.addCall(this.#observer.measured('callSynchronized', fn));
  }

  override addWakeup(fn: () => void): Waker {
    return super.addWakeup(this.#observer.measured('createWaker', fn));
  }

  override wake(): void {
    this.#observer.trace?.('wakeup');
    super.wake();
  }

  override close(): void {
    if (!this.isClosed) this.#observer.trace?.('close');
    super.close();
  }
}
