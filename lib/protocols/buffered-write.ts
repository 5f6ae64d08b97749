import type { Data } from '../arguments';
import { bytesOf, checkInteger, rangeError } from '../arguments';
import { SystemError } from '../errors';
import type { Handled } from '../handlers/handler';
import {
  awaitsOutput,
  flush,
  idleWatch,
  linger,
  registry,
  release,
  sendHeld,
  sendPieces,
  state,
  State,
  tellHeld,
  unsentBytes,
} from '../handlers/handler-state';
import { failTransfer } from '../handlers/failed-transfers';
import { IOHandler } from '../handlers/io-handler';
import { closeHandler, openSocket } from '../handlers/life';
import { constants, Errno } from '../sockets/constants';
import type { Timer } from '../timers';

import { OutputQueue } from './output-queue';

/** How long an ended connection waits for its peer to end too, or to take more of what was sent. */
const LINGER_SECONDS = 5;

const { connecting, ended, ending, failed, lingering, member, open, readEnded } = State;
const { shutdownDue, timed, writeEnded } = State;

/**
 * Sends all that it is given, and buffers what the kernel does not take at once. asynchia's
 * `BufferedWriteHandler`.
 */
export class BufferedWriteHandler extends IOHandler {
  /**
   * Above so many buffered bytes, `sendAll` returns false. 64 KiB unless a subclass sets it.
   * Nothing is refused above it: it is for the handler to heed. What is no number of bytes, 0 or
   * more, makes `sendAll` throw.
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
   * Throws on a closed handler, after `end`, and after `shutdown` of the writing side.
   */
  sendAll(data: Data): boolean {
    return this[sendPieces](data);
  }

  /** All that `sendAll` had to buffer is sent. Called after `sendAll` has returned false. */
  handleDrain(): Handled {}

  /**
   * Sends behind all that `sendAll` has accepted: 0 where that still waits. Else as `IOHandler` does.
   */
  override send(data: Data, flags = 0): number {
    if (this.bufferedAmount > 0) {
      const bytes = bytesOf('data', data);
      if (this[state] & shutdownDue) throw new SystemError('send', Errno.brokenPipe);
      if (this.#canSend()) this.#sendQueue();
      return this.bufferedAmount > 0 ? 0 : super.send(bytes, flags);
    }
    return super.send(data, flags);
  }

  /** shutdown(2), of the writing side as soon as all that `sendAll` has accepted is sent. */
  override shutdown(how: number): void {
    if (this.bufferedAmount > 0 && this.#canSend()) this.#sendQueue();
    if (this.bufferedAmount === 0 || how === constants.SHUT_RD) {
      super.shutdown(how);
      return;
    }
    checkInteger('how', how, constants.SHUT_RD, constants.SHUT_RDWR);
    this[state] |= shutdownDue;
    if (how === constants.SHUT_RDWR) super.shutdown(constants.SHUT_RD);
  }

  /**
   * Sends all, then closes: the peer gets everything, `handleCleanup` is called, and what the peer
   * still sends is thrown away. The peer has five seconds to end its own side, and as long again
   * whenever it has taken more of what was sent. Ending again does nothing; `data` that can no
   * longer be sent throws.
   */
  end(data?: Data): void {
    if (data !== undefined) this.sendAll(data);
    if (this[state] & ended || this.closed) return;
    // Input is read on and thrown away: a peer that is stuck sending would not read what we send.
    this.setReadable(true);
    this[state] |= ended;
    if (this.bufferedAmount === 0) this.#finishOutput();
  }

  /** Interest in writing is kept while anything is buffered, or that would never leave. */
  override setWritable(writable: boolean): void {
    if (writable || this.bufferedAmount === 0) super.setWritable(writable);
  }

  /** Sends what is buffered. Not to be overridden; `handleDrain` is. */
  override handleWrite(): Handled {
    return this[flush]();
  }

  /** @internal */
  [sendPieces](data: Data, tail?: Uint8Array): boolean {
    if (this.closed) openSocket(this, 'sendAll');
    if (this[state] & (ended | shutdownDue | writeEnded)) {
      const how = this[state] & ended ? 'was ended' : 'has shut down writing';
      const error = new Error(`sendAll: this ${this.constructor.name} ${how}`);
      throw Object.assign(error, { code: 'ERR_WRITE_AFTER_END' });
    }
    if (!(this.highWaterMark >= 0)) {
      throw rangeError('highWaterMark', this.highWaterMark, 'a number of bytes, 0 or more');
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
    if (this[state] & open) this.#sendQueue();
    if (this.bufferedAmount > 0 || this[state] & failed) return;
    if (this[state] & shutdownDue) this.shutdown(constants.SHUT_WR);
    if (this[state] & ended) {
      this.#finishOutput();
    } else if (this.#isDrainWanted && this[state] & member) {
      this.#isDrainWanted = false;
      return this.handleDrain();
    }
  }

  /** @internal */
  override [sendHeld](): void {
    if (this.#isFlushDue && this.#canSend()) this.#sendQueue();
    this.#isFlushDue = false;
  }

  /** @internal What was sent while it was out of the map is told now. */
  override [tellHeld](): void {
    if (this.#isDrainWanted && this.bufferedAmount === 0 && this[state] & open) {
      this.socketMap[registry].flushLater(this);
    }
  }

  /** @internal What `handleClose` has sent is sent on, though nothing but the cleanup is told. */
  override [linger](): boolean {
    if ((this[state] & (member | lingering)) !== member) return false;
    this[sendHeld]();
    if (this.bufferedAmount === 0 || this[state] & failed) return false;
    this[state] = (this[state] & ~ending) | ended | readEnded | lingering;
    this.socketMap[registry].changed(this);
    this.#waitForPeer();
    return true;
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
      if (this.#canSend()) rest = piece.subarray(super.send(piece));
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
    if (this[state] & connecting) {
      this.setWritable(true);
    } else if (!(this[state] & open) || this[state] & readEnded || this.socketMap.closed) {
      closeHandler(this);
    } else if (!(this[state] & (failed | lingering))) {
      this.shutdown(constants.SHUT_WR);
      // Closing with bytes unread would make the kernel send a reset, and a reset takes from the
      // peer what it has not read yet (RFC 1122, 4.2.2.13).
      this[state] |= lingering;
      this.#waitForPeer();
    }
  }

  /** Gives the peer time to end, or to take some of what was sent: as long as it does, it has more. */
  #waitForPeer(): void {
    const before = this.#untaken();
    this.#linger = this.socketMap.callIn(LINGER_SECONDS, () => {
      if (this.#untaken() < before) this.#waitForPeer();
      else closeHandler(this);
    });
  }

  /** How many bytes of ours the peer has not taken yet. */
  #untaken(): number {
    try {
      return this.bufferedAmount + openSocket(this, 'end').unacknowledged();
    } catch (error) {
      // Its descriptor was closed behind our back.
      if (error instanceof SystemError) return this.bufferedAmount;
      throw error;
    }
  }
}
