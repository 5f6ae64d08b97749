/** Stands before a map's notifier, and observes what it calls. */
import type { SystemError } from '../system/errors';
import type { Handler } from '../handlers/handler';
import { Notifier } from '../notifier';

import type { Observer } from './observer';

export class ObservedNotifier extends Notifier {
  readonly #inner: Notifier;
  readonly #observer: Observer;

  constructor(inner: Notifier, observer: Observer) {
    super();
    this.#inner = inner;
    this.#observer = observer;
  }

  override readObj(handler: Handler): void {
    this.#observer.tell(handler, 'handleRead', () => this.#inner.readObj(handler));
  }

  override writeObj(handler: Handler): void {
    this.#observer.tell(handler, 'handleWrite', () => this.#inner.writeObj(handler));
  }

  override exceptObj(handler: Handler, error?: SystemError): void {
    const call = (): void => this.#inner.exceptObj(handler, error);
    this.#observer.tell(handler, 'handleExcept', call, error);
  }

  override connectObj(handler: Handler): void {
    this.#observer.connected(handler);
    this.#observer.tell(handler, 'handleConnect', () => this.#inner.connectObj(handler));
  }

  override connectFailedObj(handler: Handler, error: SystemError): void {
    const call = (): void => this.#inner.connectFailedObj(handler, error);
    this.#observer.tell(handler, 'handleConnectFailed', call, error);
  }

  override endObj(handler: Handler): void {
    this.#observer.tell(handler, 'handleEnd', () => this.#inner.endObj(handler));
  }

  override closeObj(handler: Handler, error?: SystemError): void {
    const call = (): void => this.#inner.closeObj(handler, error);
    this.#observer.tell(handler, 'handleClose', call, error);
  }

  override timeoutObj(handler: Handler): void {
    this.#observer.tell(handler, 'handleTimeout', () => this.#inner.timeoutObj(handler));
  }

  override drainObj(handler: Handler): void {
    this.#observer.tell(handler, 'handleDrain', () => this.#inner.drainObj(handler));
  }

  override cleanupObj(handler: Handler): void {
    this.#observer.tell(handler, 'handleCleanup', () => this.#inner.cleanupObj(handler));
  }

  override errorObj(handler: Handler, error: unknown): void {
    const call = (): void => this.#inner.errorObj(handler, error);
    this.#observer.tell(handler, 'handleError', call, error);
  }

  override settle(handler: Handler, result: unknown): void {
    this.#inner.settle(handler, result);
  }

  override wantsExcept(handler: Handler): boolean {
    return this.#inner.wantsExcept(handler);
  }
}
