/**
 * The model's kernel: what a stream socket is to those who hold its two ends, as unix(7) and tcp(7)
 * have it on one machine, where what one end does has arrived at the other when it returns.
 */
export type Kind = 'unix' | 'tcp';

/** What `wait` may report of an end. `ended` is POLLRDHUP, `broken` POLLERR. */
export interface Bits {
  readonly in: boolean;
  readonly out: boolean;
  readonly urgent: boolean;
  readonly ended: boolean;
  readonly hungUp: boolean;
  readonly broken: boolean;
}

export const NOTHING: Bits = {
  in: false,
  out: false,
  urgent: false,
  ended: false,
  hungUp: false,
  broken: false,
};

export class End {
  peer: End | undefined;
  isClosed = false;
  /** Bytes that lie unread; an urgent one, which is not received among them, does not count. */
  unread = 0;
  /** How many unread bytes lie before the urgent one; undefined where there is none. */
  urgentAt: number | undefined;
  /** The kernel takes no more bytes. */
  isFull = false;
  /** More was sent than the kernel took at once: how much of it has come is its own affair. */
  isFlooded = false;
  /** The peer has ended its side; we have ended ours. */
  hasReceivedEnd = false;
  hasSentEnd = false;
  /** Reset, or the peer's end is closed so that nothing can be sent to it. */
  isGone = false;
  /** `SO_ERROR`, which tells itself once. */
  error: string | undefined;

  constructor(readonly kind: Kind) {}

  static pair(kind: Kind): [End, End] {
    const [one, other] = [new End(kind), new End(kind)];
    one.peer = other;
    other.peer = one;
    return [one, other];
  }

  get isHungUp(): boolean {
    return this.isGone || (this.hasReceivedEnd && this.hasSentEnd);
  }

  get bits(): Bits {
    const ended = this.hasReceivedEnd || this.isHungUp;
    return {
      in: this.unread > 0 || ended,
      out: !this.isFull,
      urgent: this.urgentAt !== undefined,
      ended,
      hungUp: this.isHungUp,
      broken: this.error !== undefined,
    };
  }

  takeError(): string | undefined {
    const { error } = this;
    this.error = undefined;
    return error;
  }

  /** send(2). Returns what it fails with. */
  send(count: number): string | undefined {
    if (this.kind === 'tcp' && this.error !== undefined) return this.takeError();
    const { peer } = this;
    if (this.isGone || this.hasSentEnd || peer === undefined) return 'EPIPE';
    // TCP learns from the answer to what it sends that nobody is there any more.
    if (peer.isClosed) this.#break();
    else peer.unread += count;
    return undefined;
  }

  sendUrgent(): void {
    if (this.peer !== undefined) this.peer.urgentAt = this.peer.unread;
  }

  /** recv(2). Stops before an urgent byte, and skips one where it begins with it. */
  receive(most: number): number {
    if (this.urgentAt === 0) this.urgentAt = undefined;
    const count = Math.min(most, this.unread, this.urgentAt ?? Infinity);
    this.unread -= count;
    if (this.urgentAt !== undefined) this.urgentAt -= count;
    return count;
  }

  /** What recv(2) says where nothing is unread: an error, `end`, or nothing yet. */
  get verdict(): string | undefined {
    // TCP remembers the end of the stream before any error that came later.
    if (this.kind === 'tcp' && this.hasReceivedEnd) return 'end';
    return this.takeError() ?? (this.hasReceivedEnd || this.isGone ? 'end' : undefined);
  }

  /** shutdown(2) of the sending side. */
  endOutput(): void {
    if (this.isGone) return;
    this.hasSentEnd = true;
    if (this.peer?.isClosed === false) this.peer.hasReceivedEnd = true;
  }

  /** close(2): an end; with bytes unread, a reset. */
  close(isReset = false): void {
    const { peer } = this;
    const isLossy = isReset || this.unread > 0 || this.urgentAt !== undefined;
    const isOver = this.isHungUp;
    this.isClosed = true;
    if (peer === undefined || peer.isClosed) return;
    if (this.kind === 'unix') {
      peer.isGone = true;
      if (isLossy) peer.error = 'ECONNRESET';
    } else if (!isOver) {
      if (isLossy) peer.#break();
      else this.endOutput();
    }
  }

  /** A reset has come. One that has had the end of the stream says it in another way. tcp(7) */
  #break(): void {
    this.isGone = true;
    this.error = this.hasReceivedEnd ? 'EPIPE' : 'ECONNRESET';
  }
}

/** What the kernel was free to do in a turn; by the numbers of handlers. */
export interface SeenTurn {
  /** Whom the wait reported, in its order. */
  readonly order: number[];
  /** Whose large output it took more of, and whose all of it. */
  readonly wrote: number[];
  readonly emptied: number[];
}

export interface Seen {
  readonly turns: SeenTurn[];
  /** How many turns each step took that takes many. */
  readonly rounds: number[];
  /** In which order the map closed its handlers. */
  readonly closing: number[];
}

/** More than the kernel takes at once. */
export const FLOOD_BYTES = 1 << 20;
