/** The model's handler: its actions and its state. */
import { type End, FLOOD_BYTES } from './kernel';
import type { Model } from './model';
import { type Cast, type Player, Role } from './stage';

export class Actor implements Player {
  readonly role: Role;
  closed = false;
  connected = false;
  readable = true;
  wantsWrite = false;
  bufferedAmount = 0;
  isClogged = false;
  isMember = true;
  /** The iteration in which it was registered: an earlier wait has no events for it (rule 6). */
  since: number;
  isConnecting = false;
  /** The error of a failed transfer: it ends when all earlier bytes are read. */
  failure: string | undefined;
  /** handleEnd was called, or handleClose waits until output is sent (rule 14). */
  hasReadEnd = false;
  /** `end` has sent everything: received bytes are discarded until the peer ends. */
  isLingering = false;
  isEnding = false;
  /** Paused with bytes before the end: no callbacks until it reads (rules 2 and 5). */
  isParked = false;
  isHungUp = false;
  isUrgentTold = false;
  isDrainWanted = false;
  isFlushDue = false;
  /** A listener's connections, and how many it accepts per iteration (rule 12). */
  readonly backlog: { readonly end: End; readonly isRaw: boolean }[] = [];
  burst = 1;
  lastAccept = 0;

  constructor(
    readonly model: Model,
    cast: Cast,
    readonly socket: End,
  ) {
    this.role = new Role(model.players.length, cast);
    this.since = model.turnNumber;
    model.players.push(this);
  }

  get hasFailed(): boolean {
    return this.failure !== undefined;
  }

  /** Whether it waits for handleWrite or handleDrain. */
  get awaitsOutput(): boolean {
    if (this.isDrainWanted) return true;
    return this.wantsWrite && this.bufferedAmount === 0 && !this.role.isShut && !this.role.isEnded;
  }

  /** Everything was sent, and handleDrain is pending since it was deregistered. */
  get owesDrain(): boolean {
    return this.isDrainWanted && this.connected && this.bufferedAmount === 0 && !this.hasFailed;
  }

  /** Not after a failed transfer, after which handleWrite is not called. */
  get writable(): boolean {
    return this.wantsWrite && !(this.hasFailed && this.connected);
  }

  get hasUrgent(): boolean {
    return this.socket.urgentAt !== undefined;
  }

  setReadable(readable: boolean): void {
    if (readable === this.readable) return;
    this.readable = readable;
    if (readable) this.isParked = this.isHungUp = false;
    if (this.isMember && this.hasFailed) this.model.pending.add(this);
  }

  setWritable(writable: boolean): void {
    if (writable === this.wantsWrite) return;
    this.wantsWrite = writable;
    if (this.isMember && (this.hasFailed || this.isHungUp)) this.model.pending.add(this);
  }

  take(n: number): void {
    this.model.note(this, `has ${this.receive(n)}`);
  }

  /** After a read, further events are reported again. */
  receive(n: number): number {
    const count = this.socket.receive(n);
    const verdict = count > 0 ? undefined : this.socket.verdict;
    if (verdict !== undefined && verdict !== 'end') {
      this.fail(verdict);
      return 0;
    }
    this.isParked = this.isHungUp = false;
    if (count > 0) this.isUrgentTold = false;
    if (this.hasFailed) this.model.pending.add(this);
    return count;
  }

  /** Rule 15: handleClose instead of an exception. */
  fail(error: string): void {
    this.failure ??= error;
    this.model.pending.add(this);
  }

  transmit(n: number): void {
    // A failed attempt calls handleConnectFailed; until then output is kept.
    if (this.hasFailed && !this.isConnecting) {
      // `sendAll` returns false, but no drain can come: handleClose is called.
      if (!this.role.cast.isBuffered) return;
      this.isDrainWanted = true;
      this.model.pending.add(this);
      return;
    }
    if (!this.role.cast.isBuffered) {
      const error = this.socket.send(n);
      if (error !== undefined) this.fail(error);
      return;
    }
    this.bufferedAmount += n;
    if (!this.connected || this.wantsWrite) this.setWritable(true);
    else if (!this.model.isDispatching) this.sendBuffered();
    else if (!this.isFlushDue) {
      // Small chunks of one callback are sent together.
      this.isFlushDue = true;
      this.model.unflushed.push(this);
    }
  }

  flood(): void {
    if (this.hasFailed) {
      this.transmit(FLOOD_BYTES);
      return;
    }
    const error = this.socket.send(FLOOD_BYTES);
    if (error !== undefined) {
      this.fail(error);
      return;
    }
    this.socket.isFull = this.isClogged = this.isDrainWanted = true;
    if (this.socket.peer !== undefined) this.socket.peer.isFlooded = true;
    this.bufferedAmount = FLOOD_BYTES;
    this.setWritable(true);
  }

  sendBuffered(): void {
    if (this.isClogged) {
      // A part of it; how much is up to the kernel.
      const error = this.socket.send(1);
      if (error !== undefined) this.#lose(error);
      else if (this.model.seen.emptied.includes(this.role.id)) {
        this.bufferedAmount = 0;
        this.isClogged = this.socket.isFull = false;
      }
    } else if (this.bufferedAmount > 0) {
      const error = this.socket.send(this.bufferedAmount);
      this.bufferedAmount = 0;
      if (error !== undefined) this.#lose(error);
    }
    this.setWritable(this.bufferedAmount > 0);
    if (this.bufferedAmount === 0 && this.hasReadEnd) this.model.pending.add(this);
  }

  #lose(error: string): void {
    this.bufferedAmount = 0;
    this.isClogged = false;
    this.fail(error);
  }

  flush(): void {
    this.isFlushDue = false;
    if (this.closed) return;
    if (this.connected) this.sendBuffered();
    if (this.bufferedAmount > 0 || this.hasFailed) return;
    if (this.role.isShut) this.#endOutput();
    if (this.role.isEnded) {
      this.#finishOutput();
    } else if (this.isDrainWanted && this.isMember) {
      this.isDrainWanted = false;
      this.model.tell(this, 'drain');
    }
  }

  shut(): void {
    if (this.bufferedAmount > 0 && this.connected && !this.wantsWrite) this.sendBuffered();
    if (this.bufferedAmount === 0) this.#endOutput();
  }

  /** With the peer's end, both sides are over. */
  #endOutput(): void {
    this.socket.endOutput();
    if (this.hasReadEnd) this.model.pending.add(this);
  }

  end(): void {
    this.setReadable(true);
    if (this.bufferedAmount === 0) this.#finishOutput();
  }

  /** Everything was sent after `end`. */
  #finishOutput(): void {
    if (this.isConnecting) {
      this.setWritable(true);
    } else if (!this.connected || this.hasReadEnd || this.model.isClosed) {
      this.close();
    } else if (!this.hasFailed && !this.isLingering) {
      this.socket.endOutput();
      this.isLingering = true;
    }
  }

  /** Output of a callback is sent before its socket is closed. */
  sendHeld(): void {
    if (this.isFlushDue && this.connected && !this.wantsWrite) this.sendBuffered();
    this.isFlushDue = false;
  }

  /** Rule 14: output of `handleClose` is still sent; then only handleCleanup is called. */
  linger(): boolean {
    if (!this.isMember || this.isLingering) return false;
    this.sendHeld();
    if (this.bufferedAmount === 0 || this.hasFailed) return false;
    this.isEnding = false;
    this.role.isEnded = this.hasReadEnd = this.isLingering = true;
    return true;
  }

  /** Rule 3: `handleCleanup` once, deregistered and closed, and no callbacks after it. */
  close(): void {
    if (this.closed) return;
    this.sendHeld();
    this.isMember = false;
    this.closed = true;
    this.connected = this.isConnecting = this.isClogged = false;
    this.bufferedAmount = 0;
    // Past an urgent byte; the rest is discarded.
    if (this.hasReadEnd) this.socket.receive(Infinity);
    this.socket.close();
    for (const { end } of this.backlog) end.close(true);
    this.model.asCallback(() => this.model.tell(this, 'cleanup'));
  }

  rawSend(n: number): void {
    this.socket.peer?.send(n);
  }

  rawSendUrgent(): void {
    this.socket.peer?.sendUrgent();
  }

  rawEnd(): void {
    this.socket.peer?.endOutput();
  }

  rawClose(isReset: boolean): void {
    this.socket.peer?.close(isReset);
  }

  rawReceive(): void {
    const raw = this.socket.peer;
    const isThere = this.role.raw === 'open' || this.role.raw === 'ended';
    if (isThere && this.isClogged && this.isMember) {
      // The peer reads, and the kernel takes more, until it has taken everything.
      this.model.turnRounds(() => raw?.receive(Infinity));
    }
    if (!isThere || raw === undefined || raw.isClosed) return;
    const count = raw.receive(Infinity);
    this.model.note(this, `peer has ${raw.isFlooded ? 'a flood' : count} ${raw.verdict ?? ''}`);
  }
}
