/** Writing: sends bytes, and buffers those that the socket does not take at once. */
import { isNoSocket } from '../sockets/socket';
import { bytesOf, checkInteger, type Data, MAX_INT32, rangeError } from '../system/arguments';
import { constants, Errno, WOULD_BLOCK } from '../system/constants';
import { SystemError } from '../system/errors';

import type { IdleOwner } from './idle';
import { OutputQueue } from './output-queue';
import { Flag, Phase } from './phase';
import { ReadingTransport } from './reading';

const { broken, drainDue, endRequested, flushDue, inputShut, member, outputShut } = Flag;
const { shutdownDue, writable } = Flag;
const { halfClosed } = Phase;
const BOTH_SHUT = inputShut | outputShut;

export abstract class WritingTransport<O extends IdleOwner> extends ReadingTransport<O> {
  #queue: OutputQueue | undefined = undefined;

  /** How many bytes were accepted for sending and are not sent. */
  get bufferedAmount(): number {
    return this.#queue?.length ?? 0;
  }

  override bufferedBytes(): { readonly in: number; readonly out: number } {
    return { in: this.held?.length ?? 0, out: this.bufferedAmount };
  }

  /** Keeps the wish while output is buffered, which would not leave without it. */
  override setWritable(isWanted: boolean): void {
    if (isWanted || this.#queue === undefined) super.setWritable(isWanted);
  }

  /** Sends behind all buffered output. Returns how many bytes the kernel took. */
  send(data: Data, flags: number): number {
    if (this.#queue !== undefined) {
      bytesOf('data', data);
      if (this.flags & shutdownDue) throw new SystemError('send', Errno.brokenPipe);
      if (this.#canSend()) this.#sendQueue();
      if (this.bufferedAmount > 0) return 0;
    }
    const socket = this.openSocket('send');
    const bytes = bytesOf('data', data);
    if (this.flags & outputShut) throw new SystemError('send', Errno.brokenPipe);
    if (this.flags & broken || bytes.length === 0) return 0;
    try {
      const count = socket.send(bytes, 0, Math.min(bytes.length, MAX_INT32), flags);
      if (count === WOULD_BLOCK) return 0;
      this.bytesMoved();
      return count;
    } catch (error) {
      this.fail(error);
      return 0;
    }
  }

  /**
   * Sends `data` and then `tail`: now, when the running callback returns, or as the socket takes it.
   * Returns false where more than `highWaterMark` bytes are buffered now.
   */
  sendAll(data: Data, tail: Uint8Array | undefined, highWaterMark: number): boolean {
    if (this.isClosed) this.openSocket('sendAll');
    if (this.flags & (endRequested | shutdownDue | outputShut)) throw this.#endedError();
    if (!(highWaterMark >= 0)) {
      throw rangeError('highWaterMark', highWaterMark, 'a number of bytes, 0 or more');
    }
    const piece = typeof data === 'string' ? data : bytesOf('data', data);
    // handleClose reports the error; what is sent meanwhile can reach no one.
    if (this.flags & broken) {
      this.flags |= drainDue;
      this.loop.pendingLater(this);
      return false;
    }
    this.#append(piece);
    if (tail !== undefined) this.#append(tail);
    this.#sendOrWait();
    const isBelow = this.bufferedAmount <= highWaterMark;
    if (!isBelow) this.flags |= drainDue;
    return isBelow;
  }

  /** shutdown(2); of the output side when all buffered output is sent. */
  shutdown(how: number): void {
    // No socket: it throws at once, not when all is sent.
    if (isNoSocket(this.socket)) this.socket?.shutdown(how);
    if (this.#queue !== undefined && this.#canSend()) this.#sendQueue();
    if (this.bufferedAmount === 0 || how === constants.SHUT_RD) {
      this.#shutdownNow(how);
      return;
    }
    checkInteger('how', how, constants.SHUT_RD, constants.SHUT_RDWR);
    this.flags |= shutdownDue;
    if (how === constants.SHUT_RDWR) this.#shutdownNow(constants.SHUT_RD);
  }

  /** Sends what is buffered, as far as the socket takes it, and does what waited for the last byte. */
  sendBuffered(): void {
    this.flags &= ~flushDue;
    if (this.isClosed || this.isLost) return;
    if (this.isConnected) this.#sendQueue();
    if (this.bufferedAmount > 0 || this.flags & broken) return;
    if (this.flags & shutdownDue) this.shutdown(constants.SHUT_WR);
    if (this.flags & endRequested) {
      this.outputSent();
    } else if ((this.flags & (drainDue | member)) === (drainDue | member)) {
      this.flags &= ~drainDue;
      this.callbacks.drainObj(this.owner);
    }
  }

  override resume(): void {
    super.resume();
    const isSent = this.isConnected && this.bufferedAmount === 0;
    if (this.flags & drainDue && isSent) this.loop.flushLater(this);
  }

  /** All output is sent after `end`. */
  protected abstract outputSent(): void;

  /** Whether the handler waits for a callback that says it can send. */
  protected get awaitsOutput(): boolean {
    if (this.flags & drainDue) return true;
    return this.#queue === undefined && (this.flags & (writable | outputShut)) === writable;
  }

  /** Sends what was to leave when the callback returns. */
  protected override beforeClose(): void {
    this.sendHeldBack();
  }

  protected sendHeldBack(): void {
    if (this.flags & flushDue && this.#canSend()) this.#sendQueue();
    this.flags &= ~flushDue;
  }

  protected override release(): void {
    super.release();
    this.#dropQueue();
  }

  /** Whether the socket may take something: it has not said that it would block. */
  #canSend(): boolean {
    return this.isConnected && !(this.flags & writable);
  }

  /** Small pieces are copied, to leave together; large ones are sent at once, as far as they can. */
  #append(piece: string | Uint8Array): void {
    if (piece.length === 0) return;
    if (typeof piece === 'string') {
      this.#enqueue().appendText(piece);
      return;
    }
    let rest = piece;
    if (piece.length >= OutputQueue.blockBytes && this.#canSend()) {
      this.#sendQueue();
      if (this.#canSend()) rest = piece.subarray(this.send(piece, 0));
    }
    if (rest.length > 0 && !(this.flags & broken)) this.#enqueue().append(rest);
  }

  #enqueue(): OutputQueue {
    return (this.#queue ??= OutputQueue.take());
  }

  #sendOrWait(): void {
    if (this.#queue === undefined) return;
    if (!this.#canSend()) {
      this.setWritable(true);
    } else if (!this.loop.isDispatching || this.#queue.length >= OutputQueue.blockBytes) {
      this.#sendQueue();
    } else if (!(this.flags & flushDue)) {
      this.flags |= flushDue;
      this.loop.flushLater(this);
    }
  }

  /** Sends what the socket takes in one call; the rest waits for it to take more. */
  #sendQueue(): void {
    const queue = this.#queue;
    if (queue !== undefined) {
      try {
        // A second call behind a short one would only return EAGAIN.
        if (queue.sendTo(this.openSocket('sendAll')) > 0) this.bytesMoved();
        if (queue.length === 0) this.#dropQueue();
      } catch (error) {
        this.fail(error);
        this.#dropQueue();
      }
    }
    this.setWritable(this.#queue !== undefined);
    // The peer has ended its side, and only this output kept the transport open.
    if (this.#queue === undefined && this.phase === halfClosed) this.loop.pendingLater(this);
  }

  #dropQueue(): void {
    this.#queue?.giveBack();
    this.#queue = undefined;
  }

  #shutdownNow(how: number): void {
    const socket = this.openSocket('shutdown');
    checkInteger('how', how, constants.SHUT_RD, constants.SHUT_RDWR);
    try {
      socket.shutdown(how);
    } catch (error) {
      // The connection broke meanwhile, which handleClose reports.
      if (!(error instanceof SystemError && error.errno === Errno.notConnected)) throw error;
    }
    if (how !== constants.SHUT_WR) this.flags |= inputShut;
    if (how !== constants.SHUT_RD) this.flags = (this.flags | outputShut) & ~shutdownDue;
    this.loop.interestChanged(this);
    // Both sides are over, which no event tells any more.
    const isInputOver = this.phase === halfClosed || (this.flags & BOTH_SHUT) === BOTH_SHUT;
    if (isInputOver && this.flags & outputShut) this.loop.pendingLater(this);
  }

  #endedError(): Error {
    const how = this.flags & endRequested ? 'was ended' : 'has shut down its output';
    const error = new Error(`sendAll: this ${this.owner.constructor.name} ${how}`);
    return Object.assign(error, { code: 'ERR_WRITE_AFTER_END' });
  }
}
