/** A notifier that reports each callback to an observer, then calls the map's own notifier. */
import type { SystemError } from '../system/errors';
import type { Handler } from '../handlers/handler';
import { Notifier } from '../notifier';

import type { Observer } from './observer';

/** The notifier of an observed map. */
export class ObservedNotifier extends Notifier {
  readonly #notifier: Notifier;
  readonly #observer: Observer;

  constructor(notifier: Notifier, observer: Observer) {
    super();
    this.#notifier = notifier;
    this.#observer = observer;
  }

  override readObj(handler: Handler): void {
    this.#observer.notify(handler, 'handleRead', () => this.#notifier.readObj(handler));
  }

  override writeObj(handler: Handler): void {
    this.#observer.notify(handler, 'handleWrite', () => this.#notifier.writeObj(handler));
  }

  override exceptObj(handler: Handler, error?: SystemError): void {
    const call = (): void => this.#notifier.exceptObj(handler, error);
    this.#observer.notify(handler, 'handleExcept', call, error);
  }

  override connectObj(handler: Handler): void {
    this.#observer.updatePeerAddress(handler);
    this.#observer.notify(handler, 'handleConnect', () => this.#notifier.connectObj(handler));
  }

  override connectFailedObj(handler: Handler, error: SystemError): void {
    const call = (): void => this.#notifier.connectFailedObj(handler, error);
    this.#observer.notify(handler, 'handleConnectFailed', call, error);
  }

  override endObj(handler: Handler): void {
    this.#observer.notify(handler, 'handleEnd', () => this.#notifier.endObj(handler));
  }

  override closeObj(handler: Handler, error?: SystemError): void {
    const call = (): void => this.#notifier.closeObj(handler, error);
    this.#observer.notify(handler, 'handleClose', call, error);
  }

  override timeoutObj(handler: Handler): void {
    this.#observer.notify(handler, 'handleTimeout', () => this.#notifier.timeoutObj(handler));
  }

  override drainObj(handler: Handler): void {
    this.#observer.notify(handler, 'handleDrain', () => this.#notifier.drainObj(handler));
  }

  override cleanupObj(handler: Handler): void {
    this.#observer.notify(handler, 'handleCleanup', () => this.#notifier.cleanupObj(handler));
  }

  override errorObj(handler: Handler, error: unknown): void {
    const call = (): void => this.#notifier.errorObj(handler, error);
    this.#observer.notify(handler, 'handleError', call, error);
  }

  override settle(handler: Handler, result: unknown): void {
    this.#notifier.settle(handler, result);
  }

  override wantsExcept(handler: Handler): boolean {
    return this.#notifier.wantsExcept(handler);
  }
}
