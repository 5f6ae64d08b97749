/** What is counted, timed and traced of a map that is observed. */
import util from 'node:util';

import { peerAddressOf } from '../handlers/description';
import { type Handler, transportOf } from '../handlers/handler';
import { addressText } from '../system/address-types';
import type { SocketSurface } from '../sockets/socket';

import { countBytes } from './byte-count';
import type { CallbackInspection, HandlerInspection } from '../handlers/inspection';

const debug = util.debuglog('asynchia');

/** How many maps of this thread were observed: tells their traces apart. */
let maps = 0;

/** What is kept of a handler. */
class Sighting {
  bytesIn = 0;
  bytesOut = 0;
  lastCallback: string | undefined = undefined;
  lastAtMs = 0;
  /** As they were last: what is closed can no longer tell. */
  descriptor = -1;
  socket: SocketSurface | undefined = undefined;
  peerAddress: CallbackInspection['peerAddress'] = undefined;

  constructor(readonly sinceMs: number) {}
}

/** One line, as far as it is an error. */
export function errorText(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : util.inspect(error);
}

export class Observer {
  /** How long callbacks have run. */
  callbackMs = 0;
  longest: CallbackInspection | undefined = undefined;
  /** Writes a line; undefined where nobody asked for it (`NODE_DEBUG=asynchia`). */
  readonly trace: ((line: string) => void) | undefined;
  readonly #nowMs: () => number;
  readonly #slowSeconds: number;
  readonly #sightings = new WeakMap<Handler, Sighting>();
  /** What the callbacks within the running one have taken. */
  #innerMs = 0;

  /** `nowMs` is the map's clock; a callback that runs longer than `slowSeconds` is warned of. */
  constructor(mapName: string, nowMs: () => number, slowSeconds: number) {
    const name = `${mapName} ${++maps}`;
    this.#nowMs = nowMs;
    this.#slowSeconds = slowSeconds;
    this.trace = debug.enabled ? (line) => debug('%s', `${name}: ${line}`) : undefined;
  }

  /** Whether a map has to be observed though nobody asked it to be. */
  static get isTracing(): boolean {
    return debug.enabled;
  }

  /** What was counted of a handler. */
  countedOf(
    handler: Handler,
  ): Pick<HandlerInspection, 'bytesIn' | 'bytesOut' | 'ageSeconds' | 'lastEvent'> {
    const { bytesIn, bytesOut, sinceMs, lastCallback, lastAtMs } = this.#sightingOf(handler);
    const nowMs = this.#nowMs();
    const lastEvent =
      lastCallback === undefined
        ? undefined
        : { callback: lastCallback, secondsAgo: (nowMs - lastAtMs) / 1000 };
    return { bytesIn, bytesOut, ageSeconds: (nowMs - sinceMs) / 1000, lastEvent };
  }

  /** A handler has come into the map, or has got its socket. */
  joined(handler: Handler): void {
    const sighting = this.#sightingOf(handler);
    const { socket, fd } = handler[transportOf];
    sighting.descriptor = fd;
    if (socket !== undefined && socket !== sighting.socket) {
      sighting.socket = socket;
      this.#count(handler, socket, sighting);
      this.connected(handler);
    }
    const peer = addressText(sighting.peerAddress);
    this.#say(handler, peer === '' ? 'added' : `added, peer ${peer}`);
  }

  /** A handler has been taken out of the map. */
  left(handler: Handler): void {
    this.#say(handler, 'taken out');
  }

  /** The peer can be asked for its name. */
  connected(handler: Handler): void {
    this.#sightingOf(handler).peerAddress = peerAddressOf(handler[transportOf]);
  }

  /** Calls a handler's callback, which was told `error`. */
  tell(handler: Handler, callback: string, call: () => void, error?: unknown): void {
    const sighting = this.#sightingOf(handler);
    sighting.lastCallback = callback;
    sighting.lastAtMs = this.#nowMs();
    this.#say(handler, error === undefined ? callback : `${callback}: ${errorText(error)}`);
    this.time(handler, callback, call);
  }

  /** Calls what runs for a handler, or is a function that was given to the map. */
  time(handler: Handler | undefined, callback: string, call: () => void): void {
    const outerMs = this.#innerMs;
    this.#innerMs = 0;
    const startMs = this.#nowMs();
    try {
      call();
    } finally {
      const spanMs = this.#nowMs() - startMs;
      const ownMs = spanMs - this.#innerMs;
      this.#innerMs = outerMs + spanMs;
      this.callbackMs += ownMs;
      const seconds = ownMs / 1000;
      if (seconds > (this.longest?.seconds ?? 0) || seconds > this.#slowSeconds) {
        this.#noteLong(handler, callback, seconds);
      }
    }
  }

  /** `fn`, observed when it is called. */
  timed(method: string, fn: () => void): () => void {
    const callback = `${method}(${fn.name || 'anonymous'})`;
    return () => {
      this.trace?.(callback);
      this.time(undefined, callback, fn);
    };
  }

  #noteLong(handler: Handler | undefined, callback: string, seconds: number): void {
    const sighting = handler && this.#sightingOf(handler);
    const { descriptor = -1, peerAddress } = sighting ?? {};
    const className = handler?.constructor.name;
    const call = { className, callback, descriptor, peerAddress, seconds };
    if (seconds > (this.longest?.seconds ?? 0)) this.longest = call;
    if (seconds <= this.#slowSeconds) return;
    const peer = addressText(peerAddress);
    const facts = [
      ...(descriptor < 0 ? [] : [`descriptor ${descriptor}`]),
      ...(peer === '' ? [] : [`peer ${peer}`]),
      `slowHandlerSeconds is ${this.#slowSeconds}`,
    ].join(', ');
    const name = className === undefined ? callback : `${className}.${callback}`;
    const text = `${name} held the loop for ${seconds.toPrecision(3)} seconds (${facts})`;
    // A warning is told by process.nextTick, which a thread that runSync owns does not come to.
    this.trace?.(text);
    process.emitWarning(text, {
      type: 'SlowHandlerWarning',
      code: 'ASYNCHIA_SLOW_HANDLER',
    });
  }

  #count(handler: Handler, socket: SocketSurface, sighting: Sighting): void {
    countBytes(
      socket,
      (count) => {
        sighting.bytesIn += count;
        this.#say(handler, `received ${count}`);
      },
      (count) => {
        sighting.bytesOut += count;
        this.#say(handler, `sent ${count}`);
      },
    );
  }

  #sightingOf(handler: Handler): Sighting {
    let sighting = this.#sightings.get(handler);
    if (sighting === undefined) {
      sighting = new Sighting(this.#nowMs());
      this.#sightings.set(handler, sighting);
    }
    return sighting;
  }

  /** `EchoHandler(23): handleRead`; without a number where it has none yet. */
  #say(handler: Handler, what: string): void {
    if (this.trace === undefined) return;
    const { descriptor } = this.#sightingOf(handler);
    this.trace(`${handler.constructor.name}(${descriptor < 0 ? '' : descriptor}): ${what}`);
  }
}
