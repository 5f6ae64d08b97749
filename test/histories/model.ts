/**
 * The rules as a program: which callbacks every handler must get, and when. The kernel (`End`) is
 * given; this file and `Actor` describe what the library must do with it.
 *
 * Where the kernel may decide, the model gets its decision (`Seen`): the order in which a wait
 * reported the descriptors, and when all of a large output was taken. Everything else must match the
 * model, callback by callback and byte by byte.
 */
import { Actor } from './actor';
import { type Bits, End, NOTHING, type Seen, type SeenTurn } from './kernel';
import { type Cancellable, type Cast, Stage } from './stage';

export class Model extends Stage<Actor> {
  isClosed = false;
  isDispatching = false;
  turnNumber = 0;
  /** The kernel's decisions in this iteration. */
  seen: SeenTurn = { order: [], wrote: [], emptied: [] };
  /** To be checked after the events of the iteration. */
  pending = new Set<Actor>();
  unflushed: Actor[] = [];
  #timers: { readonly fn: () => void; isDue: boolean }[] = [];
  #calls: (() => void)[] = [];
  readonly #all: Seen;

  constructor(all: Seen) {
    super();
    this.#all = { ...all, turns: [...all.turns], rounds: [...all.rounds] };
  }

  protected open(cast: Cast): void {
    const [ours, theirs] = End.pair(cast.kind);
    const actor = this.#connected(cast, ours);
    if (cast.hasRawPeer) actor.role.raw = 'open';
    else this.#connected(cast, theirs);
  }

  #connected(cast: Cast, end: End): Actor {
    const actor = new Actor(this, cast, end);
    actor.connected = true;
    return actor;
  }

  protected listen(cast: Cast): void {
    new Actor(this, cast, new End(cast.kind)).role.isListener = true;
  }

  /** Rule 8: never before `connect` has returned. */
  protected refused(cast: Cast): void {
    const actor = new Actor(this, cast, new End(cast.kind));
    actor.isConnecting = true;
    if (cast.kind === 'unix') {
      actor.fail('ECONNREFUSED');
    } else {
      actor.socket.isGone = true;
      actor.socket.error = 'ECONNREFUSED';
    }
  }

  protected connect(listener: Actor, cast: Cast): void {
    const [client, end] = End.pair(cast.kind);
    new Actor(this, cast, client).isConnecting = true;
    listener.backlog.push({ end, isRaw: false });
  }

  knock(listener: Actor): void {
    listener.backlog.push({ end: End.pair(listener.role.cast.kind)[0], isRaw: true });
  }

  remove(actor: Actor): void {
    actor.isMember = false;
  }

  add(actor: Actor): void {
    actor.isMember = true;
    actor.since = this.turnNumber;
    if (actor.owesDrain) this.unflushed.push(actor);
    if (actor.hasFailed || actor.hasReadEnd || actor.isHungUp) this.pending.add(actor);
  }

  /** Rule 9, with a `handleError` that does what the default does: a listener stays open. */
  protected raise(actor: Actor): void {
    this.note(actor, 'error raised');
    if (!actor.role.isListener) actor.close();
  }

  protected callIn0(fn: () => void): Cancellable {
    const timer = { fn, isDue: true };
    this.#timers.push(timer);
    return { cancel: () => (timer.isDue = false) };
  }

  protected callNext(fn: () => void): void {
    this.#calls.push(fn);
  }

  /** Output of a callback is sent when it returns. */
  asCallback(fn: () => void): void {
    const wasDispatching = this.isDispatching;
    this.isDispatching = true;
    fn();
    this.isDispatching = wasDispatching;
    if (!wasDispatching) this.#flushOutput();
  }

  protected closeMap(): void {
    this.isClosed = true;
    for (const actor of [...this.#all.closing.map((id) => this.players[id]), ...this.players]) {
      if (actor?.isMember) actor.close();
    }
    this.#timers = [];
    this.#calls = [];
  }

  protected turnUntilQuiet(): void {
    this.turnRounds();
  }

  /** As many iterations as the step took, each after `prepare`. */
  turnRounds(prepare?: () => void): void {
    for (let left = this.#all.rounds.shift() ?? 0; left > 0; left--) {
      prepare?.();
      this.turn();
    }
  }

  protected turn(): void {
    this.seen = this.#all.turns.shift() ?? { order: [], wrote: [], emptied: [] };
    const ready = new Map(this.players.map((actor) => [actor, this.#report(actor)]));
    const [timers, calls] = [this.#timers, this.#calls];
    // Timers and calls added in this iteration run in the next (rule 11).
    this.#timers = [];
    this.#calls = [];
    this.turnNumber++;
    this.isDispatching = true;
    for (const actor of new Set([
      ...this.seen.order.map((id) => this.players[id]!),
      ...this.players,
    ])) {
      const bits = ready.get(actor);
      // Rule 6: never a stale event.
      if (bits === undefined || !actor.isMember || actor.since === this.turnNumber) continue;
      this.#dispatch(actor, bits);
      this.#flushOutput();
    }
    this.#flushOutput();
    const { pending } = this;
    this.pending = new Set();
    for (const actor of pending) this.#lookAt(actor);
    this.#flushOutput();
    for (const { fn, isDue } of timers) {
      if (isDue && !this.isClosed) fn();
      this.#flushOutput();
    }
    for (const fn of calls) {
      if (!this.isClosed) fn();
      this.#flushOutput();
    }
    this.isDispatching = false;
  }

  #flushOutput(): void {
    const { unflushed } = this;
    this.unflushed = [];
    for (const actor of unflushed) {
      actor.flush();
      this.#endIfSent(actor);
    }
  }

  /** The readiness that a wait starting now reports for a handler; undefined for none. */
  #report(actor: Actor): Bits | undefined {
    const { socket, role } = actor;
    if (!actor.isMember) return undefined;
    if (role.isListener) {
      return actor.readable && actor.backlog.length > 0 ? { ...NOTHING, in: true } : undefined;
    }
    const { bits } = socket;
    if (actor.isConnecting) return actor.hasFailed ? undefined : bits;
    const hearsInput = !actor.hasReadEnd && !actor.isParked;
    const hearsOutput = actor.wantsWrite && !actor.isHungUp && !actor.hasFailed;
    if (!hearsInput && !hearsOutput) return undefined;
    const report = {
      in: hearsInput && actor.readable && bits.in,
      urgent: hearsInput && !actor.isUrgentTold && bits.urgent,
      ended: hearsInput && bits.ended,
      out: hearsOutput && (actor.isClogged ? this.seen.wrote.includes(role.id) : bits.out),
      hungUp: bits.hungUp,
      broken: bits.broken,
    };
    // An end alone has no callback for a paused handler with unread bytes: select does not report it.
    const isOptional = !actor.readable && socket.unread > 0 && !report.out && !report.urgent;
    if (isOptional && !this.seen.order.includes(role.id)) return undefined;
    return Object.values(report).includes(true) ? report : undefined;
  }

  /** In the order except, read, write, end; the end only when all bytes are read. */
  #dispatch(actor: Actor, bits: Bits): void {
    if (actor.isConnecting) {
      this.#settleConnect(actor, actor.socket.takeError());
      return;
    }
    if (bits.urgent && !actor.isUrgentTold) {
      actor.isUrgentTold = true;
      this.tell(actor, 'except');
    }
    if (bits.ended || bits.hungUp || bits.broken || actor.hasFailed) this.#mayEnd(actor, bits);
    else this.#transfer(actor, bits);
  }

  /** Rules 1 and 7. */
  #transfer(actor: Actor, bits: Bits): void {
    const isUp = (): boolean => actor.isMember && actor.connected && !actor.isEnding;
    if (actor.role.isListener) {
      if (bits.in && actor.isMember && actor.readable) this.#accept(actor);
      return;
    }
    if (bits.in && isUp() && actor.readable) {
      if (actor.role.isEnded) actor.socket.receive(Infinity);
      else this.tell(actor, 'read', String(actor.receive(actor.role.readBytes)));
    }
    if (bits.out && isUp() && actor.wantsWrite) {
      if (!actor.isClogged && !actor.isLingering) this.tell(actor, 'write');
      if (actor.role.cast.isBuffered) actor.flush();
      this.#endIfSent(actor);
    }
  }

  /** One connection at first; a listener that stays ready accepts more per iteration. */
  #accept(listener: Actor): void {
    listener.burst = this.turnNumber === listener.lastAccept + 1 ? 2 * listener.burst : 1;
    listener.lastAccept = this.turnNumber;
    const accepts = (): boolean => listener.isMember && listener.readable && !listener.closed;
    for (let i = 0; i < listener.burst && accepts(); i++) {
      const next = listener.backlog.shift();
      if (next === undefined) return;
      listener.role.waiting--;
      const actor = this.#connected({ ...listener.role.cast, hasRawPeer: next.isRaw }, next.end);
      if (next.isRaw) actor.role.raw = 'open';
      if (this.tell(listener, 'accept')) return;
    }
  }

  /** A handler that failed, or that stayed open only for its output. */
  #lookAt(actor: Actor): void {
    if (!actor.isMember) return;
    if (actor.isConnecting) this.#settleConnect(actor, actor.failure);
    else this.#mayEnd(actor, NOTHING);
  }

  /** The stream may have ended (rules 2, 4, 14). */
  #mayEnd(actor: Actor, bits: Bits): void {
    const { socket, role } = actor;
    if (!actor.isMember || !actor.connected || actor.isEnding) return;
    if (actor.hasReadEnd) {
      if (actor.hasFailed || bits.hungUp || bits.broken) {
        this.#finish(actor, this.#errorOf(actor, bits));
      } else {
        this.#transfer(actor, bits);
        this.#endIfSent(actor);
      }
      return;
    }
    if (socket.unread > 0) {
      if (!actor.readable) {
        const isBroken = actor.hasFailed || actor.isHungUp || bits.hungUp || bits.broken;
        // It waits for handleWrite or handleDrain, which cannot come.
        if (isBroken && actor.awaitsOutput) {
          const broken = bits.broken || actor.isHungUp;
          this.#finish(actor, this.#errorOf(actor, { ...bits, broken }));
          return;
        }
        actor.isParked = true;
        actor.isHungUp ||= isBroken;
      }
      // With both directions closed, nothing can be written.
      this.#transfer(actor, { ...bits, out: bits.out && !bits.hungUp });
      return;
    }
    const verdict = socket.verdict;
    const isOver = actor.hasFailed || bits.hungUp || bits.ended;
    if (verdict !== undefined && verdict !== 'end') {
      // A reset is reported first as an error, then as the end.
      if (isOver || socket.verdict === 'end') this.#finish(actor, verdict);
      else this.tell(actor, 'except', verdict);
    } else if (verdict === 'end' || isOver) {
      const error = this.#errorOf(actor, bits);
      const isHalf = !bits.hungUp || role.isShut;
      const staysOpen = error === undefined && isHalf && !actor.isLingering;
      if (staysOpen && (role.cast.allowHalfOpen || actor.bufferedAmount > 0)) {
        actor.hasReadEnd = true;
        if (role.cast.allowHalfOpen) this.tell(actor, 'end');
        this.#transfer(actor, { ...NOTHING, out: bits.out && !bits.hungUp });
        this.#endIfSent(actor);
      } else {
        this.#finish(actor, error);
      }
    } else {
      this.#transfer(actor, bits);
    }
  }

  /** The error of an end: of a failed transfer, of the socket, or of lost output. */
  #errorOf(actor: Actor, bits: Bits): string | undefined {
    const told = actor.failure ?? (bits.broken ? actor.socket.takeError() : undefined);
    return told ?? (bits.hungUp && actor.bufferedAmount > 0 ? 'EPIPE' : undefined);
  }

  #endIfSent(actor: Actor): void {
    const { role, isMember, connected, hasReadEnd, isEnding, bufferedAmount } = actor;
    const mayEnd = isMember && connected && hasReadEnd && !isEnding;
    if (mayEnd && (!role.cast.allowHalfOpen || role.isShut) && bufferedAmount === 0) {
      this.#finish(actor, actor.failure);
    }
  }

  /** Rule 3: the peer has closed. A handler that called end() does not get handleClose. */
  #finish(actor: Actor, error = ''): void {
    actor.isEnding = true;
    actor.hasReadEnd ||= error === '';
    if (!actor.isLingering) this.tell(actor, 'close', error);
    if (error !== '' || !actor.linger()) actor.close();
  }

  #settleConnect(actor: Actor, error: string | undefined): void {
    actor.isConnecting = false;
    if (error === undefined) {
      actor.connected = true;
      this.tell(actor, 'connect');
    } else {
      actor.isEnding = true;
      this.tell(actor, 'connectFailed', error);
      actor.close();
    }
  }
}
