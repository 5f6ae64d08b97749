/** BaseSocketMap: the methods of all maps. They check their arguments and call the loop. */
import util from 'node:util';

import { Handler, type SocketMap, transportOf } from '../handlers/handler';
import type { MapInspection } from '../handlers/inspection';
import { inspectMap } from '../inspection/inspect';
import { ObservedLoop } from '../inspection/observed-loop';
import { Observer } from '../inspection/observer';
import { MainLoop } from '../loop/main-loop';
import { signalNumber } from '../loop/signals';
import { Notifier } from '../notifier';
import type { Waker } from '../sockets/waker';
import {
  checkFiniteSeconds,
  checkFunction,
  checkOptions,
  checkSeconds,
  typeError,
} from '../system/arguments';
import { callContext, inContext } from '../system/context';
import { SocketMapClosedError } from '../system/errors';
import type { Kernel } from '../system/kernel';
import { systemKernel } from '../system/system-kernel';
import { loopOf, type Timer } from '../transport/loop';
import type { Transport } from '../transport/transport';

/** The options of a map. An unknown option throws a `TypeError`. */
export interface SocketMapOptions {
  /** Calls the handlers in place of a plain `Notifier`. */
  readonly notifier?: Notifier;
  /** Whether the map counts and times its handlers for `inspect`. false if omitted. */
  readonly observed?: boolean;
  /**
   * A callback that runs longer than this emits a `SlowHandlerWarning` (`process.emitWarning`, code
   * `ASYNCHIA_SLOW_HANDLER`). 0 or more, finite; no warnings if omitted. It makes the map observed.
   */
  readonly slowHandlerSeconds?: number;
}

/** The methods of all maps, over the one main loop. A map class only names its backend. */
export abstract class BaseSocketMap implements SocketMap {
  /** @internal */
  readonly [loopOf]: MainLoop;
  readonly backend: string;
  readonly #observer: Observer | undefined;

  /** Throws a `SystemError` where `kernel` has no backend of that name. */
  protected constructor(
    name: string,
    options: SocketMapOptions = {},
    kernel: Kernel = systemKernel,
  ) {
    checkOptions(options, ['notifier', 'observed', 'slowHandlerSeconds']);
    this.backend = name;
    const notifier = notifierFrom(options['notifier']);
    const { observed, slowHandlerSeconds } = options;
    this.#observer = observerFrom(name, kernel, observed, slowHandlerSeconds);
    this[loopOf] =
      this.#observer === undefined
        ? new MainLoop(kernel, name, notifier)
        : new ObservedLoop(kernel, name, notifier, this.#observer);
  }

  get closed(): boolean {
    return this[loopOf].isClosed;
  }

  addHandler(handler: Handler): void {
    const transport = this.#transportOf(handler);
    this.#assertOpen('addHandler');
    if (transport.isClosed) throw new Error('addHandler: this handler is closed');
    if (transport.isMember) throw new Error('addHandler: this handler is in the map already');
    this[loopOf].register(transport);
    transport.resume();
  }

  delHandler(handler: Handler): void {
    this[loopOf].deregister(this.#transportOf(handler));
  }

  addReader(handler: Handler): void {
    this.#checkOurs(handler);
    handler.setReadable(true);
  }

  delReader(handler: Handler): void {
    this.#checkOurs(handler);
    handler.setReadable(false);
  }

  addWriter(handler: Handler): void {
    this.#checkOurs(handler);
    handler.setWritable(true);
  }

  delWriter(handler: Handler): void {
    this.#checkOurs(handler);
    handler.setWritable(false);
  }

  poll(seconds = Infinity): number {
    checkSeconds('seconds', seconds, true);
    this.#assertIdle('poll');
    return this[loopOf].poll(seconds);
  }

  runSync(): void {
    this.#assertIdle('runSync');
    while (!this.closed) this[loopOf].poll(Infinity);
  }

  async run(): Promise<void> {
    this.#assertIdle('run');
    await this[loopOf].run();
  }

  callIn(seconds: number, fn: () => void): Timer {
    checkFiniteSeconds('seconds', seconds);
    checkFunction('fn', fn);
    this.#assertTakesCalls('callIn');
    return this[loopOf].callIn(Math.max(0, seconds), fn, callContext());
  }

  callAt(epochSeconds: number, fn: () => void): Timer {
    if (typeof epochSeconds !== 'number') {
      throw typeError('epochSeconds', epochSeconds, 'a number of seconds since 1970');
    }
    checkFiniteSeconds('epochSeconds', epochSeconds);
    return this.callIn(epochSeconds - this.wallSeconds(), fn);
  }

  callSynchronized(fn: () => void): void {
    checkFunction('fn', fn);
    this.#assertTakesCalls('callSynchronized');
    this[loopOf].callSynchronized(fn, callContext());
  }

  wakeup(): void {
    this.#assertTakesCalls('wakeup');
    this[loopOf].wake();
  }

  createWaker(fn: () => void = () => undefined): Waker {
    checkFunction('fn', fn);
    this.#assertOpen('createWaker');
    return this[loopOf].createWaker(fn, callContext());
  }

  addSignalHandler(signal: NodeJS.Signals | number, fn: () => void): void {
    const number = signalNumber(signal);
    checkFunction('fn', fn);
    this.#assertOpen('addSignalHandler');
    this[loopOf].addSignalHandler(number, inContext(callContext(), fn));
  }

  removeSignalHandler(signal: NodeJS.Signals | number): boolean {
    return this[loopOf].removeSignalHandler(signalNumber(signal));
  }

  isEmpty(): boolean {
    return this[loopOf].registrations.isEmpty;
  }

  inspect(): MapInspection {
    return inspectMap(this.backend, this[loopOf], this.#observer);
  }

  close(): void {
    this[loopOf].close();
  }

  /** For `util.inspect`: `EpollSocketMap (open, handlers 3)`. */
  [util.inspect.custom](): string {
    const { length } = this[loopOf].registrations.members();
    const facts = [this.closed ? 'closed' : 'open', `handlers ${length}`];
    return `${this.constructor.name} (${facts.join(', ')})`;
  }

  /** The same as `close()`, for `using`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal The time that `callAt` goes by, in seconds since 1970. */
  protected wallSeconds(): number {
    return Date.now() / 1000;
  }

  #checkOurs(handler: Handler): void {
    if (!(handler instanceof Handler)) throw typeError('handler', handler, 'a Handler');
    if (handler.socketMap !== this) {
      throw typeError('handler', handler, 'a Handler that was made for this map');
    }
  }

  #transportOf(handler: Handler): Transport {
    this.#checkOurs(handler);
    return handler[transportOf];
  }

  #assertOpen(method: string): void {
    if (this.closed) throw new SocketMapClosedError(method);
  }

  /** While the map is closing, calls are taken and dropped: a `handleCleanup` may ask for some. */
  #assertTakesCalls(method: string): void {
    if (!this[loopOf].isClosing) this.#assertOpen(method);
  }

  #assertIdle(method: string): void {
    this.#assertOpen(method);
    if (this[loopOf].isDispatching) {
      throw new Error(`${method}: called inside a callback of the same map, whose loop is running`);
    }
    if (this[loopOf].isRunning) throw new Error(`${method}: this map is running already`);
  }
}

function notifierFrom(option: unknown): Notifier {
  if (option === undefined) return new Notifier();
  if (option instanceof Notifier) return option;
  throw typeError('notifier', option, 'a Notifier');
}

/** Undefined if nothing is observed. */
function observerFrom(
  name: string,
  kernel: Kernel,
  observed: unknown,
  slow: unknown,
): Observer | undefined {
  if (observed !== undefined && typeof observed !== 'boolean') {
    throw typeError('observed', observed, 'a boolean');
  }
  if (slow !== undefined) checkSeconds('slowHandlerSeconds', slow);
  if (observed !== true && slow === undefined && !Observer.isTracing) return undefined;
  return new Observer(name, () => kernel.monotonicMs(), slow ?? Infinity);
}
