/** Idle time: one timer a transport, which is armed anew only when it fires. */
import { checkSeconds } from '../system/arguments';

import type { Owner } from './callbacks';
import type { Timer } from './loop';
import { Flag } from './phase';
import type { Transport } from './transport';

const { lingering, member } = Flag;

/** What an idle time-out knows of its handler. */
export interface IdleOwner extends Owner {
  /** 0 or undefined: no time-out. The older of two names, because its accessor reads the newer. */
  idleTimeout?: number;
}

/** What a class may declare as a field. */
const FIELDS = ['idleTimeoutSeconds', 'idleTimeout'] as const;

export class IdleTimeout {
  /** Whether a handler has a limit, or a field of its own that may be set to one at any time. */
  static isWanted(owner: IdleOwner): boolean {
    return (owner.idleTimeout ?? 0) !== 0 || FIELDS.some((field) => Object.hasOwn(owner, field));
  }

  /** After how long `handleTimeout` is called; 0: never. */
  seconds = 0;
  readonly #transport: Transport<IdleOwner>;
  /** When bytes last moved, or counting began. */
  #sinceMs = 0;
  /** Bytes have moved in this turn: `stamp` is to come. */
  #isStampDue = false;
  #isCounting = false;
  #timer: Timer | undefined = undefined;
  /** When the timer fires. */
  #firesAtMs = 0;

  constructor(transport: Transport<IdleOwner>) {
    this.#transport = transport;
  }

  /** Takes another limit, and counts from now. Throws where it is no number of seconds. */
  set(seconds: number): void {
    checkSeconds('idleTimeoutSeconds', seconds);
    this.seconds = seconds;
    if (this.#isCounting) this.#restart();
  }

  /** Begins to count: there is a connection, or an attempt at one. */
  begin(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    this.#readField();
    this.#restart();
  }

  /** Bytes have moved. The clock is read once a turn, for all transports together. */
  bytesMoved(): void {
    if (this.#isStampDue) return;
    this.#readField();
    this.#isStampDue = true;
    this.#transport.loop.stampLater(this);
  }

  /** The time at which bytes moved, or a little later. */
  stamp(nowMs: number): void {
    this.#isStampDue = false;
    this.#sinceMs = nowMs;
  }

  /** The transport is closed. */
  stop(): void {
    this.#isCounting = false;
    this.#timer?.cancel();
  }

  /** A class that declares the limit as a field hides the accessor, so the field is read. */
  #readField(): void {
    const { owner, loop } = this.#transport;
    const { idleTimeout = 0 } = owner;
    if (idleTimeout === this.seconds) return;
    try {
      this.set(idleTimeout);
    } catch (error) {
      owner.idleTimeout = this.seconds;
      loop.report(owner, error);
    }
  }

  #restart(): void {
    const { isClosed, loop } = this.#transport;
    if (isClosed || loop.isClosed) return;
    this.#sinceMs = loop.kernel.monotonicMs();
    const endMs = this.#sinceMs + this.seconds * 1000;
    // A timer that fires too early is armed anew then.
    if (this.seconds > 0 && this.#timer?.pending === true && this.#firesAtMs <= endMs) return;
    this.#timer?.cancel();
    if (this.seconds > 0) this.#arm(this.#sinceMs, endMs);
  }

  #arm(nowMs: number, atMs: number): void {
    this.#firesAtMs = atMs;
    this.#timer = this.#transport.loop.callIn((atMs - nowMs) / 1000, () => {
      this.#fired();
    });
  }

  #fired(): void {
    const { loop, callbacks, owner } = this.#transport;
    // Counting begins anew when the transport is registered again: a timer would keep it alive.
    if (!this.#transport.isMember) {
      this.#isCounting = false;
      return;
    }
    this.#readField();
    if (this.seconds === 0 || this.#timer?.pending === true) return;
    const nowMs = loop.kernel.monotonicMs();
    if (this.#isStampDue) this.#sinceMs = nowMs;
    const endMs = this.#sinceMs + this.seconds * 1000;
    if (endMs > nowMs) {
      this.#arm(nowMs, endMs);
      return;
    }
    // Where the handler stays open, it is called again after as long again.
    this.#restart();
    // A transport that lingers closes when its time is up.
    if ((this.#transport.flags & (member | lingering)) === member) callbacks.timeoutObj(owner);
  }
}
