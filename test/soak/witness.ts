/** A notifier that checks that no callback is repeated or comes after the end. */
import type { SystemError } from 'asynchia';
import { AcceptHandler, type Handler, Notifier } from 'asynchia';

import type { Faults } from './protocol';

/** Callbacks that may come once, in this order. */
const ONCE = ['end', 'close', 'cleanup'] as const;
type Once = (typeof ONCE)[number];

export class Witness extends Notifier {
  cleanedUp = 0;
  readonly #faults: Faults;
  /** The last of these callbacks of each handler. */
  readonly #lastOf = new WeakMap<Handler, Once>();

  constructor(faults: Faults) {
    super();
    this.#faults = faults;
  }

  override readObj(handler: Handler): void {
    if (this.#lastOf.has(handler)) this.#addFault(handler, 'read');
    super.readObj(handler);
  }

  override writeObj(handler: Handler): void {
    const last = this.#lastOf.get(handler);
    if (last !== undefined && last !== 'end') this.#addFault(handler, 'write');
    super.writeObj(handler);
  }

  override exceptObj(handler: Handler, error?: SystemError): void {
    this.#addFault(handler, `except ${error?.code ?? ''}`);
    super.exceptObj(handler, error);
  }

  override endObj(handler: Handler): void {
    this.#tellOnce(handler, 'end');
    super.endObj(handler);
  }

  override closeObj(handler: Handler, error?: SystemError): void {
    this.#tellOnce(handler, 'close');
    super.closeObj(handler, error);
  }

  override cleanupObj(handler: Handler): void {
    this.#tellOnce(handler, 'cleanup');
    if (!(handler instanceof AcceptHandler)) this.cleanedUp++;
    super.cleanupObj(handler);
  }

  override errorObj(handler: Handler, error: unknown): void {
    this.#addFault(handler, String(error));
    super.errorObj(handler, error);
  }

  #tellOnce(handler: Handler, what: Once): void {
    const last = this.#lastOf.get(handler);
    if (last !== undefined && ONCE.indexOf(what) <= ONCE.indexOf(last)) {
      this.#addFault(handler, what);
    }
    this.#lastOf.set(handler, what);
  }

  #addFault(handler: Handler, what: string): void {
    const after = this.#lastOf.get(handler);
    const place = after === undefined ? '' : ` after ${after}`;
    this.#faults.add(`${handler.constructor.name} was told ${what}${place}`);
  }
}
