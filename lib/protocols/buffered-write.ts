import type { Data } from '../arguments';
import { bytesOf } from '../arguments';
import type { Handled } from '../handlers/handler';
import { closeHandler, openSocket } from '../handlers/handler';
import {
  awaitsOutput,
  flush,
  idleWatch,
  registry,
  release,
  sendPieces,
  state,
  State,
  unsentBytes,
} from '../handlers/handler-state';
import { failTransfer, IOHandler } from '../handlers/io-handler';
import { constants } from '../sockets/constants';
import type { Timer } from '../timers';

import { OutputQueue } from './output-queue';

/** How long an ended connection waits for its peer to end too. */
const LINGER_SECONDS = 5;

const { connecting, ended, failed, lingering, open, readEnded, timed } = State;

/**
 * Sends all that it is given, and buffers what the kernel does not take at once. asynchia's
 * `BufferedWriteHandler`.
 */
export class BufferedWriteHandler extends IOHandler {
  /**
   * Above so many buffered bytes, `sendAll` returns false. 64 KiB unless a subclass sets it.
   * Nothing is refused above it: it is for the handler to heed.
   */
  declare highWaterMark: number;

  #queue: OutputQueue | undefined = undefined;
  #isFlushDue = false;
  #isDrainWanted = false;
  #linger: Timer | undefined = undefined;

  static {
    this.prototype.highWaterMark = 64 * 1024;
  }

  /** How many bytes wait to be sent. */
  get bufferedAmount(): number {
    return this.#queue?.length ?? 0;
  }

  /**
   * Sends all of `data`, now or as the socket takes it; before `connect` has succeeded, as soon as
   * it has. What has to wait is copied, so that the caller may use its memory again. Within a
   * callback, small pieces leave together when the callback returns.
   *
   * Returns false where more than `highWaterMark` bytes are buffered now: wait for `handleDrain`.
   * Where the connection breaks, `handleClose` comes instead; to a handler that has paused reading
   * meanwhile too, and what lies unread can be read there.
   * Throws on a closed handler, and after `end`.
   */
  sendAll(data: Data): boolean {
    return this[sendPieces](data);
  }

  /** All that `sendAll` had to buffer is sent. Called after `sendAll` has returned false. */
  handleDrain(): Handled {}

  /**
   * Sends all, then closes: the peer gets everything, `handleCleanup` is called, and what the peer
   * still sends is thrown away. Ending again does nothing; `data` that can no longer be sent throws.
   */
  end(data?: Data): void {
    if (data !== undefined) this.sendAll(data);
    if (this[state] & ended || this.closed) return;
    // Input is read on and thrown away: a peer that is stuck sending would not read what we send.
    this.setReadable(true);
    this[state] |= ended;
    if (this.bufferedAmount === 0) this.#finishOutput();
  }

  /** Sends what is buffered. Not to be overridden; `handleDrain` is. */
  override handleWrite(): Handled {
    return this[flush]();
  }

  /** @internal */
  [sendPieces](data: Data, tail?: Uint8Array): boolean {
    if (this.closed) openSocket(this, 'sendAll');
    if (this[state] & ended) {
      const error = new Error(`sendAll: this ${this.constructor.name} was ended`);
      throw Object.assign(error, { code: 'ERR_WRITE_AFTER_END' });
    }
    const piece = typeof data === 'string' ? data : bytesOf('data', data);
    // handleClose tells the error; what is sent meanwhile has nowhere to go.
    if (this[state] & failed) {
      this.#isDrainWanted = true;
      this.socketMap[registry].endLater(this);
      return false;
    }
    this.#append(piece);
    if (tail !== undefined) this.#append(tail);
    this.#flushWhenDue();
    this.#isDrainWanted ||= this.bufferedAmount > this.highWaterMark;
    return this.bufferedAmount <= this.highWaterMark;
  }

  /** @internal */
  override [unsentBytes](): number {
    return this.bufferedAmount;
  }

  /** @internal Interest in writing that comes of what is buffered is nobody's to wait for. */
  override [awaitsOutput](): boolean {
    return this.#isDrainWanted || (this.bufferedAmount === 0 && super[awaitsOutput]());
  }

  /** @internal */
  override [flush](): Handled {
    this.#isFlushDue = false;
    if (this.closed) return;
    this.#sendQueue();
    if (this.bufferedAmount > 0 || this[state] & failed) return;
    if (this[state] & ended) {
      this.#finishOutput();
    } else if (this.#isDrainWanted && !(this[state] & failed)) {
      this.#isDrainWanted = false;
      return this.handleDrain();
    }
  }

  /** @internal */
  override [release](): void {
    super[release]();
    this.#queue?.giveBack();
    this.#queue = undefined;
    this.#linger?.cancel();
  }

  /** Whether a send has a chance: connected, and not waiting for the socket to take more. */
  #canSend(): boolean {
    return (this[state] & (open | State.writable)) === open;
  }

  #enqueue(): OutputQueue {
    return (this.#queue ??= OutputQueue.take());
  }

  /** Small pieces are copied to leave together; large ones leave at once, as far as they can. */
  #append(piece: string | Uint8Array): void {
    if (piece.length === 0) return;
    if (typeof piece === 'string') {
      this.#enqueue().appendText(piece);
      return;
    }
    let rest = piece;
    if (piece.length >= OutputQueue.blockBytes && this.#canSend()) {
      this.#sendQueue();
      if (this.#canSend()) rest = piece.subarray(this.send(piece));
    }
    if (rest.length > 0 && !(this[state] & failed)) this.#enqueue().append(rest);
  }

  #flushWhenDue(): void {
    if (this.bufferedAmount === 0) return;
    const inner = this.socketMap[registry];
    if (!this.#canSend()) {
      this.setWritable(true);
    } else if (!inner.isDispatching || this.bufferedAmount >= OutputQueue.blockBytes) {
      this.#sendQueue();
    } else if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      inner.flushLater(this);
    }
  }

  /** Sends what the socket takes, and has the rest wait for it to take more. */
  #sendQueue(): void {
    const queue = this.#queue;
    if (queue !== undefined) {
      try {
        // Short of all, one more system call would only say that it would block.
        const count = queue.sendTo(openSocket(this, 'sendAll'));
        if (this[state] & timed && count > 0) this[idleWatch]?.stir();
      } catch (error) {
        failTransfer(this, error);
        queue.giveBack();
        this.#queue = undefined;
      }
      if (queue.length === 0 && this.#queue !== undefined) {
        queue.giveBack();
        this.#queue = undefined;
      }
    }
    this.setWritable(this.#queue !== undefined);
    // The peer has ended, and only this kept the handler from following.
    if (this.#queue === undefined && this[state] & readEnded) {
      this.socketMap[registry].endLater(this);
    }
  }

  /** All is sent after `end`: tells the peer, and waits for it to end too. */
  #finishOutput(): void {
    if (this[state] & lingering) return;
    if (this[state] & connecting) {
      this.setWritable(true);
    } else if (!(this[state] & open) || this[state] & readEnded || this.socketMap.closed) {
      closeHandler(this);
    } else if (!(this[state] & failed)) {
      this.shutdown(constants.SHUT_WR);
      // Closing with bytes unread would make the kernel send a reset, and a reset takes from the
      // peer what it has not read yet (RFC 1122, 4.2.2.13).
      this[state] |= lingering;
      this.#linger = this.socketMap.callIn(LINGER_SECONDS, () => {
        closeHandler(this);
      });
    }
  }
}
