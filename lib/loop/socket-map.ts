/** The socket maps' common face. */
import util from 'node:util';

import { checkFunction, checkOptions, checkSeconds, typeError } from '../arguments';
import { binding } from '../binding';
import { SocketMapClosedError } from '../errors';
import type { SocketMap } from '../handlers/handler';
import { Handler } from '../handlers/handler';
import { registry, state, State, tellHeld } from '../handlers/handler-state';
import { inspectMap } from '../inspection/inspect';
import { ObservedLoop } from '../inspection/observed-loop';
import { Observer } from '../inspection/observer';
import type { MapInspection } from '../inspection/shapes';
import type { Kernel } from '../kernel';
import type { Notifier } from '../notifier';
import { notifierFrom } from '../notifier';
import type { Waker } from '../sockets/waker';
import type { Timer } from '../timers';

import type { HandlerTable } from './handler-table';
import { MainLoop } from './main-loop';

/** How a map is made. */
export interface SocketMapOptions {
  /** Stands between the map and its handlers, in place of a plain `Notifier`. */
  readonly notifier?: Notifier;
  /** Counts and times what `inspect` tells of handlers and callbacks. False unless told otherwise. */
  readonly observed?: boolean;
  /**
   * Above so many seconds in one callback, `process.emitWarning` is called with a
   * `SlowHandlerWarning`, and the map is observed. No warnings unless told otherwise.
   */
  readonly slowHandlerSeconds?: number;
}

/** What every map does, over the one loop. A map class only names its backend. */
export abstract class BaseSocketMap implements SocketMap {
  /** @internal */
  readonly [registry]: HandlerTable;
  readonly backend: string;
  readonly #loop: MainLoop;
  readonly #observer: Observer | undefined;

  /** Throws a `SystemError` where `kernel` has no backend of that name. */
  protected constructor(name: string, options: SocketMapOptions = {}, kernel: Kernel = binding) {
    checkOptions(options, ['notifier', 'observed', 'slowHandlerSeconds']);
    this.backend = name;
    const notifier = notifierFrom(options['notifier']);
    const { observed, slowHandlerSeconds } = options;
    this.#observer = observerFrom(name, kernel, observed, slowHandlerSeconds);
    this.#loop =
      this.#observer === undefined
        ? new MainLoop(kernel, name, notifier)
        : new ObservedLoop(kernel, name, notifier, this.#observer);
    this[registry] = this.#loop.table;
  }

  get closed(): boolean {
    return this.#loop.isClosed;
  }

  addHandler(handler: Handler): void {
    const bits = this.#ours(handler)[state];
    this.#assertOpen('addHandler');
    if (bits & State.closed) throw new Error('addHandler: this handler is closed');
    if (bits & State.member) throw new Error('addHandler: this handler is in the map already');
    if (handler.fileno() < 0) this[registry].expect(handler);
    else this[registry].add(handler);
    handler[tellHeld]();
  }

  delHandler(handler: Handler): void {
    this[registry].delete(this.#ours(handler));
  }

  addReader(handler: Handler): void {
    this.#ours(handler).setReadable(true);
  }

  delReader(handler: Handler): void {
    this.#ours(handler).setReadable(false);
  }

  addWriter(handler: Handler): void {
    this.#ours(handler).setWritable(true);
  }

  delWriter(handler: Handler): void {
    this.#ours(handler).setWritable(false);
  }

  poll(seconds = Infinity): number {
    checkSeconds('seconds', seconds, true);
    this.#assertIdle('poll');
    return this.#loop.poll(seconds);
  }

  runSync(): void {
    this.#assertIdle('runSync');
    while (!this.closed) this.#loop.poll(Infinity);
  }

  async run(): Promise<void> {
    this.#assertIdle('run');
    await this.#loop.run();
  }

  callIn(seconds: number, fn: () => void): Timer {
    checkSeconds('seconds', seconds);
    checkFunction('fn', fn);
    this.#assertOpen('callIn');
    return this.#loop.addTimer(seconds, fn);
  }

  callAt(epochSeconds: number, fn: () => void): Timer {
    if (typeof epochSeconds !== 'number') {
      throw typeError('epochSeconds', epochSeconds, 'a number of seconds since 1970');
    }
    checkSeconds('epochSeconds', epochSeconds);
    return this.callIn(Math.max(0, epochSeconds - this.wallSeconds()), fn);
  }

  callSynchronized(fn: () => void): void {
    checkFunction('fn', fn);
    this.#assertOpen('callSynchronized');
    this.#loop.addCall(fn);
  }

  wakeup(): void {
    this.#assertOpen('wakeup');
    this.#loop.wake();
  }

  createWaker(fn: () => void = () => undefined): Waker {
    checkFunction('fn', fn);
    this.#assertOpen('createWaker');
    return this.#loop.addWakeup(fn);
  }

  isEmpty(): boolean {
    return this[registry].isEmpty;
  }

  inspect(): MapInspection {
    return inspectMap(this.backend, this.#loop, this.#observer);
  }

  close(): void {
    this.#loop.close();
  }

  /** What it is, and how much is in it. */
  [util.inspect.custom](): string {
    const { length } = this[registry].members();
    const facts = [this.closed ? 'closed' : 'open', `handlers ${length}`];
    return `${this.constructor.name} (${facts.join(', ')})`;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal The time that `callAt` goes by, in seconds since 1970. */
  protected wallSeconds(): number {
    return Date.now() / 1000;
  }

  #ours(handler: Handler): Handler {
    if (!(handler instanceof Handler)) throw typeError('handler', handler, 'a Handler');
    if (handler.socketMap !== this) {
      throw typeError('handler', handler, 'a Handler that was made for this map');
    }
    return handler;
  }

  #assertOpen(method: string): void {
    if (this.closed) throw new SocketMapClosedError(method);
  }

  #assertIdle(method: string): void {
    this.#assertOpen(method);
    if (this[registry].isDispatching) {
      throw new Error(`${method}: called inside a callback of the same map, whose loop is running`);
    }
    if (this.#loop.isRunning) throw new Error(`${method}: this map is running already`);
  }
}

/** Undefined where nothing has to be observed. */
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
