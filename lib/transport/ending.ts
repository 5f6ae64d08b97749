/**
 * Ending: finds out that a stream has ended, and ends the transport.
 *
 * An end is delivered after all the bytes before it, in whatever order the kernel reports them. The
 * kernel only hints at an end (`ENDING`); only then is the socket asked what is unread.
 */
import { kindOf } from '../sockets/byte-streams';
import { isNoSocket } from '../sockets/socket';
import { constants, Errno } from '../system/constants';
import { SystemError } from '../system/errors';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from '../system/readiness';

import type { IdleOwner } from './idle';
import type { Timer } from './loop';
import { Flag, Phase } from './phase';
import { WritingTransport } from './writing';

/** How long a closing connection waits for its peer to end too, or to take more of what was sent. */
const LINGER_SECONDS = 5;

/** Where bytes go that are not delivered. */
const DISCARDED = Buffer.allocUnsafeSlow(64 * 1024);

const { ending, halfClosed, open } = Phase;
const { broken, endRequested, hungUp, inputEnded, inputParked, inputShut, lingering } = Flag;
const { outputShut, readable } = Flag;

export abstract class EndingTransport<O extends IdleOwner> extends WritingTransport<O> {
  declare private lingerTimer: Timer | undefined;

  static {
    this.prototype.lingerTimer = undefined;
  }

  /** Sends all buffered output, then closes. What the peer still sends is discarded. */
  end(): void {
    if (this.flags & endRequested || this.isClosed) return;
    this.flags |= endRequested;
    // A peer that is stuck in sending would not read what we send, so its bytes are received.
    this.setReadable(true);
    if (this.bufferedAmount === 0) this.outputSent();
  }

  /** Makes callbacks of `bits`, which are no hint at an end. */
  protected abstract transfer(bits: number): void;

  /** The stream may have ended, as the kernel or a failed transfer says. */
  protected mayHaveEnded(bits: number): void {
    if (!this.isMember || (this.phase !== open && this.phase !== halfClosed)) {
      this.transfer(bits);
    } else if (this.phase === halfClosed || this.flags & inputShut) {
      this.#outputMayHaveEnded(bits);
    } else {
      this.#inputMayHaveEnded(bits);
    }
  }

  /** Both sides are over: the peer got all output, and the handler does not keep its own side open. */
  protected endIfSent(): void {
    if (this.bufferedAmount > 0 || !this.isMember) return;
    const isInputOver =
      this.phase === halfClosed ||
      (this.phase === open && (this.flags & (inputShut | lingering)) === inputShut);
    const keepsOpen = this.phase === open || this.owner.allowHalfOpen;
    if (isInputOver && (!keepsOpen || this.flags & outputShut)) this.finish(this.failure);
  }

  /** Calls `handleClose`, and closes when what that has sent is out. */
  protected finish(error: SystemError | undefined): void {
    if (error === undefined || this.phase === halfClosed) this.flags |= inputEnded;
    this.enter(ending);
    try {
      // After `end` the peer's end is what was waited for.
      if (!(this.flags & lingering)) this.callbacks.closeObj(this.owner, error);
    } finally {
      if (error !== undefined || !this.#lingers()) this.close();
    }
  }

  /** Receives bytes that are not delivered. */
  protected discard(): void {
    try {
      this.socket?.recvInto(DISCARDED);
    } catch (error) {
      // A reset: the socket reports that it has ended when it is asked next.
      if (!(error instanceof SystemError)) throw error;
    }
  }

  /** All output is sent after `end`: ends our side, and waits for the peer to end its own. */
  protected override outputSent(): void {
    if (this.isConnecting) {
      this.setWritable(true);
    } else if (!this.isConnected || this.#hasInputEnded(this.phase) || this.loop.isClosed) {
      this.close();
    } else if (isNoSocket(this.socket)) {
      // It has no half-close, and closing a pipe loses nothing.
      this.close();
    } else if (!(this.flags & (broken | lingering))) {
      this.shutdown(constants.SHUT_WR);
      // Closing with bytes unread makes the kernel send a reset, and a reset takes from the peer
      // what it has not read yet. RFC 1122, 4.2.2.13
      this.flags |= lingering;
      this.#waitForPeer();
    }
  }

  protected override closeSocket(last: Phase): void {
    // Receives an urgent byte that is still unread: with one the kernel sends a reset, and what the
    // peer has not read yet is lost. tcp(7)
    if (this.#hasInputEnded(last)) this.discard();
    super.closeSocket(last);
  }

  protected override release(): void {
    super.release();
    this.lingerTimer?.cancel();
  }

  #hasInputEnded(phase: Phase): boolean {
    return phase === halfClosed || (this.flags & inputEnded) !== 0;
  }

  /** Only our side is left, and it may have ended too: reset, or the peer is gone. */
  #outputMayHaveEnded(bits: number): void {
    if (this.flags & broken || bits & (POLLHUP | POLLERR)) {
      this.finish(this.#endingError(bits));
    } else {
      this.transfer(bits);
      this.endIfSent();
    }
  }

  #inputMayHaveEnded(bits: number): void {
    const unread = this.unread();
    const isOver = (this.flags & broken) !== 0 || (bits & (POLLHUP | POLLRDHUP)) !== 0;
    if (unread instanceof SystemError) {
      // With POLLERR alone: a datagram's error, which leaves the socket as it was; or a reset that
      // is still being processed, as asking again shows.
      if (isOver || this.unread() === 0) this.finish(unread);
      else this.callbacks.exceptObj(this.owner, unread);
    } else if (unread > 0) {
      this.#endsAfterRead(bits);
    } else if (unread === 0 || isOver) {
      this.#endInput(bits);
    } else {
      // POLLERR without an error: asking has taken it away.
      this.transfer(bits);
    }
  }

  /** Bytes before the end are unread: reads them, or waits for the handler to read them. */
  #endsAfterRead(bits: number): void {
    if (!(this.flags & readable)) {
      const isOver = this.flags & (broken | hungUp) || bits & (POLLHUP | POLLERR);
      // The callback that it waits for, that it can send, cannot come.
      if (isOver && this.awaitsOutput) {
        this.finish(this.#endingError(this.flags & hungUp ? bits | POLLERR : bits));
        return;
      }
      this.flags |= isOver ? inputParked | hungUp : inputParked;
      this.loop.interestChanged(this);
    }
    // Where both directions are closed, nothing can be sent.
    this.transfer(bits & POLLHUP ? POLLIN & bits : bits);
  }

  /** All bytes that the peer sent before its end are read. */
  #endInput(bits: number): void {
    const error = this.#endingError(bits);
    const canSend = !(bits & POLLHUP) || (this.flags & outputShut) !== 0;
    const isHalf = error === undefined && canSend && !(this.flags & lingering);
    const { allowHalfOpen } = this.owner;
    if (!isHalf || !(allowHalfOpen || this.bufferedAmount > 0)) {
      this.finish(error);
      return;
    }
    this.enter(halfClosed);
    this.loop.interestChanged(this);
    if (allowHalfOpen) this.callbacks.endObj(this.owner);
    if (bits & POLLOUT && !(bits & POLLHUP)) this.transfer(POLLOUT);
    // Where the handler had ended its own side first, both are over now.
    this.endIfSent();
  }

  /** What the stream ended with: a failed transfer, the socket's error, or output that is lost. */
  #endingError(bits: number): SystemError | undefined {
    const known = this.failure ?? (bits & POLLERR ? this.#socketError() : undefined);
    if (known !== undefined) return known;
    const isOutputLost = bits & POLLHUP && this.bufferedAmount > 0;
    return isOutputLost ? new SystemError('send', Errno.brokenPipe) : undefined;
  }

  #socketError(): SystemError | undefined {
    const { socket } = this;
    if (isNoSocket(socket)) {
      // At a pipe it says that the reading end is closed; elsewhere it comes with a hang-up.
      const isPipe = kindOf(socket?.fileno() ?? -1) === 'pipe';
      return isPipe ? new SystemError('write', Errno.brokenPipe) : undefined;
    }
    try {
      const errno = socket?.getsockopt(constants.SOL_SOCKET, constants.SO_ERROR) ?? 0;
      return errno === 0 ? undefined : new SystemError('recv', -errno);
    } catch {
      return new SystemError('recv', Errno.brokenPipe);
    }
  }

  /** Whether the transport stays until what `handleClose` has sent is out. */
  #lingers(): boolean {
    if (!this.isMember || this.flags & lingering) return false;
    this.sendHeldBack();
    if (this.bufferedAmount === 0 || this.flags & broken) return false;
    this.enter(halfClosed);
    this.flags |= endRequested | lingering;
    this.loop.interestChanged(this);
    this.#waitForPeer();
    return true;
  }

  /** Gives the peer time to end, or to take some of what was sent; each time it does, as long again. */
  #waitForPeer(): void {
    const before = this.#untaken();
    this.lingerTimer = this.loop.callIn(LINGER_SECONDS, () => {
      if (this.#untaken() < before) this.#waitForPeer();
      else this.close();
    });
  }

  /** How many bytes of ours the peer has not taken. */
  #untaken(): number {
    try {
      return this.bufferedAmount + this.openSocket('end').unacknowledged();
    } catch (error) {
      // The descriptor was closed by others.
      if (error instanceof SystemError) return this.bufferedAmount;
      throw error;
    }
  }
}
