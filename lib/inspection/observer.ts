/** Counts, times and traces the callbacks and handlers of an observed map. */
import util from 'node:util';

import { peerAddressOf } from '../handlers/description';
import { type Handler, transportOf } from '../handlers/handler';
import { addressText } from '../system/address-types';
import type { SocketSurface } from '../sockets/socket';

import { countBytes } from './byte-count';
import type { CallbackInspection, HandlerInspection } from '../handlers/inspection';

const debug = util.debuglog('asynchia');

/** How many observed maps this thread has made: their number is part of each line of the trace. */
let mapCount = 0;

/** What an observer knows of a handler. */
class HandlerRecord {
  bytesIn = 0;
  bytesOut = 0;
  lastCallback: string | undefined = undefined;
  lastAtMs = 0;
  /** These three keep their last value when the handler is closed. */
  descriptor = -1;
  socket: SocketSurface | undefined = undefined;
  peerAddress: CallbackInspection['peerAddress'] = undefined;

  /** `sinceMs`: when the handler was first seen, by the map's clock. */
  constructor(readonly sinceMs: number) {}
}

/** An error in one line, without its stack. */
export function errorText(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : util.inspect(error);
}

/** Observes one map. */
export class Observer {
  /** How long all callbacks have run, in milliseconds. */
  callbackMs = 0;
  /** The callback that ran longest; undefined before the first. */
  longest: CallbackInspection | undefined = undefined;
  /** Writes a line of the trace; undefined unless `NODE_DEBUG` contains `asynchia`. */
  readonly trace: ((line: string) => void) | undefined;
  readonly #nowMs: () => number;
  readonly #slowSeconds: number;
  readonly #records = new WeakMap<Handler, HandlerRecord>();
  /** The time of the callbacks that ran within the one that is running. */
  #nestedMs = 0;

  /** `nowMs` reads the map's clock. A callback longer than `slowSeconds` causes a warning. */
  constructor(mapName: string, nowMs: () => number, slowSeconds: number) {
    const name = `${mapName} ${++mapCount}`;
    this.#nowMs = nowMs;
    this.#slowSeconds = slowSeconds;
    this.trace = debug.enabled ? (line) => debug('%s', `${name}: ${line}`) : undefined;
  }

  /** Whether `NODE_DEBUG` asks for a trace: then every map is observed. */
  static get isTracing(): boolean {
    return debug.enabled;
  }

  /** The fields of a handler's inspection that are counted. */
  countsOf(
    handler: Handler,
  ): Pick<HandlerInspection, 'bytesIn' | 'bytesOut' | 'ageSeconds' | 'lastEvent'> {
    const { bytesIn, bytesOut, sinceMs, lastCallback, lastAtMs } = this.#recordOf(handler);
    const nowMs = this.#nowMs();
    const lastEvent =
      lastCallback === undefined
        ? undefined
        : { callback: lastCallback, secondsAgo: (nowMs - lastAtMs) / 1000 };
    return { bytesIn, bytesOut, ageSeconds: (nowMs - sinceMs) / 1000, lastEvent };
  }

  /** A handler was added to the map, or has its socket now. */
  handlerAdded(handler: Handler): void {
    const record = this.#recordOf(handler);
    const { socket, fd } = handler[transportOf];
    record.descriptor = fd;
    if (socket !== undefined && socket !== record.socket) {
      record.socket = socket;
      this.#countBytes(handler, socket, record);
      this.updatePeerAddress(handler);
    }
    const peer = addressText(record.peerAddress);
    this.#traceHandler(handler, peer === '' ? 'added' : `added, peer ${peer}`);
  }

  /** A handler was deregistered. */
  handlerRemoved(handler: Handler): void {
    this.#traceHandler(handler, 'taken out');
  }

  /** Asks the socket for its peer, once there is a connection. */
  updatePeerAddress(handler: Handler): void {
    this.#recordOf(handler).peerAddress = peerAddressOf(handler[transportOf]);
  }

  /** Records, traces and measures a callback of a handler. `error` is the callback's argument. */
  notify(handler: Handler, callback: string, call: () => void, error?: unknown): void {
    const record = this.#recordOf(handler);
    record.lastCallback = callback;
    record.lastAtMs = this.#nowMs();
    const text = error === undefined ? callback : `${callback}: ${errorText(error)}`;
    this.#traceHandler(handler, text);
    this.measure(handler, callback, call);
  }

  /** Calls `call` and measures it. `handler` is undefined for a function given to the map. */
  measure(handler: Handler | undefined, callback: string, call: () => void): void {
    const nestedBeforeMs = this.#nestedMs;
    this.#nestedMs = 0;
    const startMs = this.#nowMs();
    try {
      call();
    } finally {
      const spanMs = this.#nowMs() - startMs;
      const ownMs = spanMs - this.#nestedMs;
      this.#nestedMs = nestedBeforeMs + spanMs;
      this.callbackMs += ownMs;
      const seconds = ownMs / 1000;
      if (seconds > (this.longest?.seconds ?? 0) || seconds > this.#slowSeconds) {
        this.#recordLong(handler, callback, seconds);
      }
    }
  }

  /** Wraps `fn`, which the map's method `method` was given, to trace and measure each call. */
  measured(method: string, fn: () => void): () => void {
    const callback = `${method}(${fn.name || 'anonymous'})`;
    return () => {
      this.trace?.(callback);
      this.measure(undefined, callback, fn);
    };
  }

  /** Keeps the longest callback, and warns of a slow one. */
  #recordLong(handler: Handler | undefined, callback: string, seconds: number): void {
    const record = handler && this.#recordOf(handler);
    const { descriptor = -1, peerAddress } = record ?? {};
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
    // Traced too: emitWarning prints on process.nextTick, which does not run during runSync.
    this.trace?.(text);
    process.emitWarning(text, {
      type: 'SlowHandlerWarning',
      code: 'ASYNCHIA_SLOW_HANDLER',
    });
  }

  #countBytes(handler: Handler, socket: SocketSurface, record: HandlerRecord): void {
    countBytes(
      socket,
      (count) => {
        record.bytesIn += count;
        this.#traceHandler(handler, `received ${count}`);
      },
      (count) => {
        record.bytesOut += count;
        this.#traceHandler(handler, `sent ${count}`);
      },
    );
  }

  #recordOf(handler: Handler): HandlerRecord {
    let record = this.#records.get(handler);
    if (record === undefined) {
      record = new HandlerRecord(this.#nowMs());
      this.#records.set(handler, record);
    }
    return record;
  }

  /** Writes `EchoHandler(23): handleRead`; without the number if there is no descriptor yet. */
  #traceHandler(handler: Handler, text: string): void {
    if (this.trace === undefined) return;
    const { descriptor } = this.#recordOf(handler);
    this.trace(`${handler.constructor.name}(${descriptor < 0 ? '' : descriptor}): ${text}`);
  }
}
