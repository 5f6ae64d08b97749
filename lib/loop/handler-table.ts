/** The handlers of a map, by descriptor, and what the backend has been told of them. */
import { typeError } from '../arguments';
import { SystemError } from '../errors';
import type { Handled, Handler } from '../handlers/handler';
import { entered, failure, socketOf, state, State, watched } from '../handlers/handler-state';
import { closeHandler } from '../handlers/life';
import type { Registry } from '../handlers/registry';
import type { Kernel } from '../kernel';
import type { Notifier } from '../notifier';
import type { Backend } from '../readiness';
import { Errno } from '../sockets/constants';
import type { LookupResult } from '../sockets/lookups';
import { Socket } from '../sockets/socket';

import { dispatchPending, endIfSent, interestOf, lose } from './dispatch';

const { connecting, dirty, failed, hungUp, lingering, member, readEnded } = State;

/** What a table asks of its map. */
export interface TableOwner {
  readonly isClosed: boolean;
  /** Something changed that the next wait must know of. */
  attend(): void;
  resolve(hostname: string, done: (result: LookupResult) => void): void;
}

export class HandlerTable implements Registry<Handler> {
  /** Counts turns. */
  turn = 0;
  isDispatching = false;
  readonly kernel: Kernel;
  readonly #backend: Backend;
  readonly #notifier: Notifier;
  readonly #owner: TableOwner;
  readonly #handlers: (Handler | undefined)[] = [];
  /** The turn in which each descriptor came in: what is older is not its event. */
  readonly #since: number[] = [];
  /** What the backend watches each descriptor for. */
  readonly #masks: number[] = [];
  readonly #withoutDescriptor = new Set<Handler>();
  #count = 0;
  #changed: Handler[] = [];
  #unflushed: Handler[] = [];
  /** Not emptied but counted: it is filled again in every turn. */
  readonly #unstamped: ({ stamp(nowMs: number): void } | undefined)[] = [];
  #unstampedCount = 0;
  #pending = new Set<Handler>();
  #raised: unknown[] = [];

  constructor(kernel: Kernel, backend: Backend, notifier: Notifier, owner: TableOwner) {
    this.kernel = kernel;
    this.#backend = backend;
    this.#notifier = notifier;
    this.#owner = owner;
  }

  get isEmpty(): boolean {
    return this.#count === 0 && this.#withoutDescriptor.size === 0;
  }

  /** Those without a descriptor first, then by descriptor. */
  members(): Handler[] {
    const withDescriptor = this.#handlers.filter((handler) => handler !== undefined);
    return [...this.#withoutDescriptor, ...withDescriptor];
  }

  /** Whether a turn is due without any event. */
  get hasPending(): boolean {
    return this.#pending.size > 0 || this.#unflushed.length > 0 || this.#raised.length > 0;
  }

  /** A wait has returned, and filled `ready` with so many pairs. */
  beginTurn(_ready: Int32Array, _count: number): void {
    this.turn++;
    this.isDispatching = true;
  }

  /** Whose event this is; undefined where nobody's, or where it is a predecessor's. */
  recipient(fd: number): Handler | undefined {
    return this.#since[fd] === this.turn ? undefined : this.#handlers[fd];
  }

  expect(handler: Handler): void {
    this.#withoutDescriptor.add(handler);
    this.#join(handler);
  }

  add(handler: Handler): void {
    const socket = handler[socketOf];
    if (socket instanceof Socket && socket.kernel !== this.kernel) {
      throw typeError('sock', socket, 'of the same kernel, real or simulated, as the map');
    }
    const fd = handler.fileno();
    const holder = this.#handlers[fd];
    if (holder !== undefined) {
      if (holder[socketOf] === socket) {
        throw new Error(`addHandler: descriptor ${fd} is in this map already`);
      }
      // The kernel has given the number out anew, so it was closed behind its holder's back.
      lose(holder, this.#notifier);
    }
    this.#withoutDescriptor.delete(handler);
    handler[watched] = fd;
    this.#handlers[fd] = handler;
    this.#since[fd] = this.turn;
    this.#masks[fd] = 0;
    this.#count++;
    this.#join(handler);
    this.changed(handler);
  }

  delete(handler: Handler): void {
    this.#withoutDescriptor.delete(handler);
    handler[state] &= ~member;
    // Not what the socket says now: it may have been closed behind our back.
    const fd = handler[watched];
    if (fd < 0) return;
    handler[watched] = -1;
    this.#handlers[fd] = undefined;
    this.#count--;
    if (this.#masks[fd] !== 0) this.#backend.remove(fd);
    this.#masks[fd] = 0;
  }

  holder(fd: number): Handler | undefined {
    return this.#handlers[fd];
  }

  changed(handler: Handler): void {
    if (handler[state] & dirty) return;
    handler[state] |= dirty;
    this.#changed.push(handler);
    this.#owner.attend();
  }

  /** Tells the backend what has changed since the last wait, and only that. */
  flushChanges(): void {
    if (this.#changed.length === 0) return;
    const changed = this.#changed;
    this.#changed = [];
    for (const handler of changed) {
      handler[state] &= ~dirty;
      if (handler[watched] >= 0) this.#tellBackend(handler);
    }
  }

  stampLater(what: { stamp(nowMs: number): void }): void {
    this.#unstamped[this.#unstampedCount++] = what;
    this.#owner.attend();
  }

  /** Tells the time to those that want it. */
  stamp(): void {
    if (this.#unstampedCount === 0) return;
    const nowMs = this.kernel.monotonicMs();
    for (let i = 0; i < this.#unstampedCount; i++) {
      this.#unstamped[i]?.stamp(nowMs);
      this.#unstamped[i] = undefined;
    }
    this.#unstampedCount = 0;
  }

  flushLater(handler: Handler): void {
    this.#unflushed.push(handler);
    this.#owner.attend();
  }

  /** Sends what the callback that just returned has left to send. */
  flushOutput(): void {
    if (this.#unflushed.length > 0) this.#flushAll();
  }

  #flushAll(): void {
    const unflushed = this.#unflushed;
    // What handleDrain sends again waits for its turn, so that no handler holds it for ever.
    this.#unflushed = [];
    for (const handler of unflushed) {
      try {
        this.#notifier.flushObj(handler);
        endIfSent(handler, this.#notifier);
      } catch (error) {
        this.raise(error);
      }
    }
  }

  endLater(handler: Handler): void {
    this.#pending.add(handler);
    this.#owner.attend();
  }

  /** Looks at the handlers that asked for it. */
  dispatchPending(): void {
    if (this.#pending.size === 0) return;
    const pending = this.#pending;
    this.#pending = new Set();
    this.#each(pending, (handler) => {
      dispatchPending(handler, this.#notifier);
    });
  }

  settle(handler: Handler, result: Handled): void {
    this.#notifier.settle(handler, result);
  }

  report(handler: Handler, error: unknown): void {
    this.#asCallback(() => {
      this.#notifier.errorObj(handler, error);
    });
  }

  cleanup(handler: Handler): void {
    this.#asCallback(() => {
      this.#notifier.cleanupObj(handler);
    });
  }

  /** One that may come outside of a turn. */
  #asCallback(callback: () => void): void {
    const wasDispatching = this.isDispatching;
    this.isDispatching = true;
    try {
      callback();
    } finally {
      this.isDispatching = wasDispatching;
    }
    if (!wasDispatching) this.flushOutput();
  }

  /** One that was taken out hears nothing; one that lingers is closed when its time is up. */
  timeout(handler: Handler): void {
    if ((handler[state] & (member | lingering)) === member) this.#notifier.timeoutObj(handler);
  }

  raise(error: unknown): void {
    this.#raised.push(error);
    this.#owner.attend();
    // No turn may be left that would throw it.
    if (this.#owner.isClosed) {
      queueMicrotask(() => {
        this.throwRaised();
      });
    }
  }

  /** Throws what nobody handled. */
  throwRaised(): void {
    const errors = this.#raised;
    if (errors.length === 0) return;
    this.#raised = [];
    if (errors.length === 1) throw errors[0];
    throw new AggregateError(errors, `${errors.length} errors in one turn`);
  }

  resolve(hostname: string, done: (result: LookupResult) => void): void {
    this.#owner.resolve(hostname, done);
  }

  /** Closes every handler. */
  closeAll(): void {
    this.#each(this.#withoutDescriptor, closeHandler);
    this.#each(this.#handlers, closeHandler);
  }

  /** What a notifier throws for one, or a socket of another make, is not to fall on the others. */
  #each(handlers: Iterable<Handler | undefined>, act: (handler: Handler) => void): void {
    for (const handler of handlers) {
      try {
        if (handler !== undefined) act(handler);
      } catch (error) {
        this.raise(error);
      }
    }
  }

  /** One that was out of the map is told now of what it would have been told meanwhile. */
  #join(handler: Handler): void {
    handler[state] |= member;
    // While a name is looked up there is nothing to watch that would begin it.
    if (handler[state] & connecting) handler[entered]();
    if (handler[failure] !== undefined || handler[state] & (readEnded | hungUp)) {
      this.endLater(handler);
    }
  }

  #tellBackend(handler: Handler): void {
    const fd = handler[watched];
    const has = this.#masks[fd] ?? 0;
    const wanted = interestOf(handler);
    if (has === 0 && wanted === 0) return;
    const backend = this.#backend;
    const result =
      has === 0
        ? backend.add(fd, wanted)
        : wanted === 0
          ? backend.remove(fd)
          : backend.modify(fd, wanted);
    if (result >= 0) {
      this.#masks[fd] = wanted;
      if (has === 0) handler[entered]();
    } else {
      // Out of memory, or of watches (epoll_ctl(2)), or not open. A descriptor that the backend knew
      // and does not know any more was closed behind our back, and its number may be another's.
      const isForgotten = has !== 0 && result !== Errno.outOfMemory;
      const errno = isForgotten ? Errno.badDescriptor : result;
      handler[failure] ??= new SystemError(`${backend.name} registration`, errno);
      // Deaf, it ends at once, whatever lies unread.
      handler[state] &= ~failed;
      this.endLater(handler);
    }
  }
}
