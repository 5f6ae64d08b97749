/**
 * The model's kernel: a stream socket with its two ends, after unix(7) and tcp(7) on one machine,
 * where an action of one end has arrived at the other when it returns.
 */
export type Kind = 'unix' | 'tcp';

/** The readiness of an end. `ended` is POLLRDHUP, `broken` POLLERR. */
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
  /** Unread bytes, without an urgent one, which is not received in order. */
  unread = 0;
  /** How many unread bytes precede the urgent one; undefined if there is none. */
  urgentAt: number | undefined;
  /** The kernel takes no more bytes. */
  isFull = false;
  /** More was sent than the kernel takes at once: how much of it has arrived is not specified. */
  isFlooded = false;
  /** The peer has ended its side; we have ended ours. */
  hasReceivedEnd = false;
  hasSentEnd = false;
  /** Reset, or the peer's end is closed so that nothing can be sent to it. */
  isGone = false;
  /** `SO_ERROR`, which is cleared when it is read. */
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
    // TCP learns of a closed peer from the answer to what it sends.
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

  /** The result of recv(2) without unread bytes: an error, `end`, or undefined for would-block. */
  get verdict(): string | undefined {
    // TCP reports the end of the stream before a later error.
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

  /** A reset has arrived; after the end of the stream it is reported as EPIPE (tcp(7)). */
  #break(): void {
    this.isGone = true;
    this.error = this.hasReceivedEnd ? 'EPIPE' : 'ECONNRESET';
  }
}

/** What the kernel decided in an iteration, by handler numbers. */
export interface SeenTurn {
  /** The reported handlers, in order. */
  readonly order: number[];
  /** Handlers of whose large output it took a part, and those of whose it took all. */
  readonly wrote: number[];
  readonly emptied: number[];
}

export interface Seen {
  readonly turns: SeenTurn[];
  /** The number of iterations of each step that takes several. */
  readonly rounds: number[];
  /** The order in which the map closed its handlers. */
  readonly closing: number[];
}

/** More bytes than the kernel takes at once. */
export const FLOOD_BYTES = 1 << 20;
