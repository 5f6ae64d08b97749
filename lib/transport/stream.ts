/** A stream: what readiness means to it, in the order except, read, write, end. */
import { kindOf } from '../sockets/byte-streams';
import { isNoSocket } from '../sockets/socket';
import { parseAddress } from '../sockets/address';
import { Errno } from '../system/constants';
import type { Address } from '../system/address-types';
import { endingError, SocketMapClosedError, SystemError } from '../system/errors';
import {
  ENDING,
  POLLERR,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  POLLRDHUP,
} from '../system/readiness';

import { ConnectAttempt } from './connecting';
import { EndingTransport } from './ending';
import { type IdleOwner, IdleTimeout } from './idle';
import { Flag, Phase } from './phase';
import { listeningInterest } from './transport';

const { connecting, ending, failed, halfClosed, listening, open } = Phase;
const { broken, endRequested, hungUp, inputParked, inputShut, lingering } = Flag;
const { readable, urgentNotified, writable } = Flag;

/** Bits that take the longer way. */
const RARE = ENDING | POLLPRI | POLLNVAL;

export class StreamTransport extends EndingTransport<IdleOwner> {
  /** Undefined but in phase `connecting`. */
  declare private attempt: ConnectAttempt | undefined;

  static {
    this.prototype.attempt = undefined;
  }

  override interest(): number {
    const { flags, phase } = this;
    if (phase !== open && phase !== halfClosed) return this.#otherInterest();
    let mask = (flags & (writable | hungUp | broken)) === writable ? POLLOUT : 0;
    // A paused handler gets the end by POLLRDHUP. That is level-triggered, so it is watched for only
    // until it is handled.
    if (phase === open && !(flags & (inputShut | inputParked))) {
      mask |= POLLRDHUP;
      if (flags & readable) mask |= POLLIN;
      if (this.#wantsUrgent()) mask |= POLLPRI;
    }
    return mask;
  }

  override ready(bits: number): void {
    if (bits & RARE || this.flags & broken || this.phase !== open) this.#readyRarely(bits);
    else this.transfer(bits);
  }

  override pending(): void {
    const { failure, phase } = this;
    // Deregistered transports are handled when they are registered again.
    if (!this.isMember) return;
    if (this.isLost) {
      this.lose();
    } else if (phase === connecting) {
      if (failure !== undefined) this.#settleConnect();
    } else if (failure !== undefined && !(this.flags & broken)) {
      // It could not be watched: without an end it would stay for ever, unread bytes or not.
      this.#unwatchable(failure);
    } else {
      this.mayHaveEnded(0);
    }
  }

  override flush(): void {
    this.sendBuffered();
    this.endIfSent();
  }

  override begin(): void {
    if (IdleTimeout.isWanted(this.owner)) this.#idleTimeout().begin();
  }

  override resume(): void {
    // A look-up has no descriptor whose watching would begin it.
    if (this.phase === connecting) this.begin();
    const isOver = this.phase === halfClosed || (this.flags & (hungUp | inputShut)) !== 0;
    if (this.failure !== undefined || isOver) {
      this.loop.pendingLater(this);
    }
    super.resume();
  }

  /** Connects. Every failure of the network or the look-up arrives at `handleConnectFailed`. */
  connect(address: Address): void {
    const { phase } = this;
    if (this.isClosed) this.openSocket('connect');
    if (phase === failed || phase === ending) {
      throw endingError('connect', this.owner.constructor.name);
    }
    if (this.loop.isClosed) throw new SocketMapClosedError('connect');
    const parsed = parseAddress(address);
    if (phase === connecting) throw new SystemError('connect', Errno.alreadyConnecting);
    if (phase >= listening) throw new SystemError('connect', Errno.isConnected);
    this.enter(connecting);
    this.begin();
    this.attempt = new ConnectAttempt(this);
    this.attempt.begin(parsed);
  }

  /** What `handleTimeout` does by default. */
  timeOut(): void {
    if (this.attempt === undefined) this.close();
    else this.attempt.timeOut();
  }

  setIdleTimeout(seconds: number): void {
    const idle = this.#idleTimeout();
    idle.set(seconds);
    if (this.isConnected || this.isConnecting) idle.begin();
  }

  protected override transfer(bits: number): void {
    if (bits & POLLIN && this.wants(readable)) {
      if (this.flags & endRequested) this.discard();
      else this.callbacks.readObj(this.owner);
    }
    if (bits & POLLOUT && this.wants(writable)) {
      if (this.flags & lingering) this.sendBuffered();
      else this.callbacks.writeObj(this.owner);
      this.endIfSent();
    }
  }

  #idleTimeout(): IdleTimeout {
    return (this.idle ??= new IdleTimeout(this));
  }

  /** Urgent data is reported until something is read, so it is watched for until it is notified. */
  #wantsUrgent(): boolean {
    return !(this.flags & urgentNotified) && this.callbacks.wantsExcept(this.owner);
  }

  #otherInterest(): number {
    if (this.phase === listening) return listeningInterest(this);
    // While a name is looked up, a socket that was handed in is not connecting yet: POLLHUP of it
    // would be no outcome.
    const isUnderWay = this.phase === connecting && this.socket?.role === 'connected';
    return isUnderWay ? POLLOUT : 0;
  }

  #readyRarely(bits: number): void {
    if (bits & POLLNVAL) {
      this.lose();
      return;
    }
    if (this.phase === connecting) {
      this.#settleConnect();
      return;
    }
    if (this.phase === listening) {
      // Shut down by any process that shares it: nothing can come, and it would be reported for ever.
      if (bits & ENDING) this.#unwatchable(new SystemError('accept', Errno.invalidArgument));
      else this.readyToAccept(bits);
      return;
    }
    if (bits & POLLPRI && this.#wantsUrgent()) {
      // The kernel reports a change notification once, or until it is read. proc(5), sysfs(5)
      if (!isNoSocket(this.socket)) this.flags |= urgentNotified;
      this.loop.interestChanged(this);
      this.callbacks.exceptObj(this.owner);
    }
    if (this.#hintsAtEnd(bits) || this.flags & broken) this.mayHaveEnded(bits);
    else this.transfer(bits);
  }

  /** POLLERR alone is part of a change notification, or of what only a pipe's writer is told. */
  #hintsAtEnd(bits: number): boolean {
    if ((bits & ENDING) !== POLLERR || !isNoSocket(this.socket)) return (bits & ENDING) !== 0;
    return kindOf(this.fd) === 'pipe';
  }

  #unwatchable(error: SystemError): void {
    if (this.phase !== listening) {
      this.finish(error);
      return;
    }
    this.loop.report(this.owner, error);
    this.close();
  }

  #settleConnect(): void {
    const outcome = this.attempt?.settle() ?? 'connected';
    if (outcome === 'pending') return;
    this.attempt = undefined;
    if (outcome === 'connected') {
      this.enter(open);
      this.idle?.bytesMoved();
      this.loop.interestChanged(this);
      this.callbacks.connectObj(this.owner);
      return;
    }
    this.enter(failed);
    try {
      this.callbacks.connectFailedObj(this.owner, outcome);
    } finally {
      this.close();
    }
  }
}
