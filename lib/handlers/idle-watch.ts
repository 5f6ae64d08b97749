/** An idle time-out: one timer a handler, which is armed anew only when it fires. */
import { checkSeconds } from '../arguments';
import type { Timer } from '../timers';

import type { Handler } from './handler';
import { registry, state, State } from './handler-state';

/** A handler that can be idle for too long. */
interface Idling extends Handler {
  idleTimeout: number;
}

export class IdleWatch {
  /** How long is too long; 0: any time is all right. */
  seconds = 0;
  readonly #handler: Idling;
  /** When bytes last moved, or counting began. */
  #sinceMs = 0;
  #isStirred = false;
  #isCounting = false;
  #timer: Timer | undefined = undefined;
  /** When the timer fires. */
  #firesAtMs = 0;

  constructor(handler: Idling) {
    this.#handler = handler;
  }

  /** Takes another time, and counts from now. Throws where it is none. */
  set(seconds: number): void {
    checkSeconds('idleTimeout', seconds);
    this.seconds = seconds;
    if (this.#isCounting) this.#restart();
  }

  /** There is a connection now, or an attempt at one. */
  begin(): void {
    if (this.#isCounting) return;
    this.#isCounting = true;
    this.#heed();
    this.#restart();
  }

  /** Bytes have moved. What time it is is asked once a turn, for all of them together. */
  stir(): void {
    if (this.#isStirred) return;
    this.#heed();
    this.#isStirred = true;
    this.#handler.socketMap[registry].stampLater(this);
  }

  /** When it was that bytes moved. Later than they did, if anything. */
  stamp(nowMs: number): void {
    this.#isStirred = false;
    this.#sinceMs = nowMs;
  }

  /** The handler is over. */
  stop(): void {
    this.#isCounting = false;
    this.#timer?.cancel();
  }

  /** A class that declares the field itself hides the accessor that would have told. */
  #heed(): void {
    const handler = this.#handler;
    if (handler.idleTimeout === this.seconds) return;
    try {
      this.set(handler.idleTimeout);
    } catch (error) {
      handler.idleTimeout = this.seconds;
      handler.socketMap[registry].report(handler, error);
    }
  }

  #restart(): void {
    if (this.#handler.socketMap.closed) return;
    this.#sinceMs = this.#handler.socketMap[registry].kernel.monotonicMs();
    const endMs = this.#sinceMs + this.seconds * 1000;
    // One that fires earlier than needed looks again then.
    if (this.seconds > 0 && this.#timer?.pending === true && this.#firesAtMs <= endMs) return;
    this.#timer?.cancel();
    if (this.seconds > 0) this.#arm(this.#sinceMs, endMs);
  }

  #arm(nowMs: number, atMs: number): void {
    this.#firesAtMs = atMs;
    this.#timer = this.#handler.socketMap.callIn((atMs - nowMs) / 1000, () => {
      this.#look();
    });
  }

  #look(): void {
    // One that was taken out begins anew when it comes back; until then nothing is to keep it alive.
    if (!(this.#handler[state] & State.member)) {
      this.#isCounting = false;
      return;
    }
    this.#heed();
    if (this.seconds === 0 || this.#timer?.pending === true) return;
    const inner = this.#handler.socketMap[registry];
    const nowMs = inner.kernel.monotonicMs();
    if (this.#isStirred) this.#sinceMs = nowMs;
    const endMs = this.#sinceMs + this.seconds * 1000;
    if (endMs > nowMs) {
      this.#arm(nowMs, endMs);
    } else {
      // If it stays, being idle for as long again is told again.
      this.#restart();
      inner.timeout(this.#handler);
    }
  }
}
