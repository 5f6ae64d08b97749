/**
 * A simulated stream socket: the result of each call in each state, and what its peer notices. The
 * order of the checks and the bits of poll(2) follow Linux: tcp_poll, tcp_recvmsg and tcp_sendmsg,
 * and unix_poll, unix_stream_recvmsg and unix_stream_sendmsg.
 */
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP } from '../system/readiness';
import type { SocketAddress } from '../system/address-types';
import { constants } from '../system/constants';

import { Errno, type Description } from './description';
import { ReceiveQueue } from './receive-queue';
import { SingleFault, type Simulation } from './simulation';

const { AF_UNIX, MSG_OOB, MSG_PEEK, SHUT_RD, SHUT_WR } = constants;

/** The default size of the send buffer (net.core.wmem_default, socket(7)). */
const SEND_BUFFER_BYTES = 212_992;

/**
 * `failed`: the connection, or the attempt at one, has failed. `closed`: its descriptor is closed.
 */
type Phase = 'unconnected' | 'connecting' | 'connected' | 'failed' | 'listening' | 'closed';

/** One end of a connection, or a listener. */
export class Stream implements Description {
  phase: Phase = 'unconnected';
  /** Its address; undefined if it is not bound. */
  local: SocketAddress | undefined = undefined;
  /** The address of its peer; undefined if it was never connected. */
  remote: SocketAddress | undefined = undefined;
  /** Connections that were not accepted yet. */
  readonly backlog: Stream[] = [];
  /** The `backlog` of listen(2). */
  backlogLimit = 0;
  /** The values of the options that were set. */
  readonly options = new Map<string, Uint8Array>();
  /** SO_SNDBUF. */
  sendBufferBytes = SEND_BUFFER_BYTES;
  /** SO_OOBINLINE. */
  isUrgentInline = false;
  /** SO_LINGER with 0 seconds: closing resets the connection. */
  resetsOnClose = false;
  readonly #simulation: Simulation;
  readonly #readFault: SingleFault;
  readonly #writeFault: SingleFault;
  readonly #acceptFault: SingleFault;
  readonly #received = new ReceiveQueue();
  #peer: Stream | undefined = undefined;
  /** SO_ERROR; 0 if there is none. */
  #error = 0;
  #isReadShut = false;
  #isWriteShut = false;
  /** The peer has shut down its writing side: TCP's FIN has arrived. */
  #hasPeerEnded = false;
  /** How many bytes are on their way to this end. */
  #bytesInFlight = 0;
  /** When the last message to the peer arrives: no later one may arrive before it. */
  #lastArrivalMs = 0;
  /** How many messages to the peer have not arrived yet. */
  #messagesInFlight = 0;
  /** How often messages in flight were lost: those sent before the last loss never arrive. */
  #lossCount = 0;

  constructor(
    simulation: Simulation,
    readonly family: number,
  ) {
    this.#simulation = simulation;
    this.#readFault = new SingleFault(simulation, 'wouldBlock');
    this.#writeFault = new SingleFault(simulation, 'wouldBlock');
    this.#acceptFault = new SingleFault(simulation, 'outOfDescriptors');
  }

  get isUnix(): boolean {
    return this.family === AF_UNIX;
  }

  /** Makes a connection of two streams. */
  connectTo(peer: Stream): void {
    this.#peer = peer;
    peer.#peer = this;
    this.phase = 'connected';
    peer.phase = 'connected';
  }

  /** The connection attempt has failed. */
  fail(errno: number): void {
    this.#error = errno;
    this.#markFailed();
  }

  /** SO_ERROR: returns the error, and clears it. */
  takeError(): number {
    const error = this.#error;
    this.#error = 0;
    return error;
  }

  readiness(): number {
    if (this.phase === 'listening') {
      if (this.#isReadShut) return POLLIN | POLLRDHUP;
      return this.backlog.length > 0 ? POLLIN : 0;
    }
    let bits = this.#error === 0 ? 0 : POLLERR;
    if (this.phase === 'connecting') return bits;
    if (this.#isReadShut) bits |= POLLIN | POLLRDHUP;
    if (this.#received.available(this.isUrgentInline) > 0) bits |= POLLIN;
    if (this.#received.urgent !== undefined) bits |= POLLPRI;
    if ((this.#isReadShut && this.#isWriteShut) || this.phase === 'unconnected') bits |= POLLHUP;
    const unread = this.unacknowledged;
    const isWritable = this.isUnix
      ? 4 * unread <= this.sendBufferBytes
      : this.#isWriteShut || 3 * unread <= 2 * this.sendBufferBytes;
    return isWritable ? bits | POLLOUT : bits;
  }

  /** recv(2): how many bytes were read, 0 at the end of the stream, or a negative error number. */
  receive(into: Uint8Array, flags: number): number {
    if (flags & MSG_OOB) return this.#receiveUrgent(into, flags);
    if (this.phase === 'unconnected' || this.phase === 'listening') {
      return this.isUnix ? -Errno.EINVAL : -Errno.ENOTCONN;
    }
    if (this.#received.length > 0) {
      const isPeek = (flags & MSG_PEEK) !== 0;
      if (!isPeek && this.#readFault.occurs()) return -Errno.EAGAIN;
      const most = Math.min(into.length, this.#received.length);
      const wanted = isPeek ? most : this.#shortened(most, 'shortReads');
      const count = this.#received.read(into.subarray(0, wanted), this.isUrgentInline, isPeek);
      if (count > 0 || into.length === 0) return count;
    }
    if (this.#hasPeerEnded && !this.isUnix) return 0;
    if (this.#error !== 0) return -this.takeError();
    return this.#isReadShut ? 0 : -Errno.EAGAIN;
  }

  /** send(2): how many bytes were taken, or a negative error number. */
  send(bytes: Uint8Array, flags: number): number {
    if (this.phase === 'unconnected' || this.phase === 'listening') {
      return this.isUnix ? -Errno.ENOTCONN : -Errno.EPIPE;
    }
    if (this.phase === 'connecting') return -Errno.EAGAIN;
    if (this.#isWriteShut) return -((this.isUnix ? 0 : this.takeError()) || Errno.EPIPE);
    if (this.isUnix && flags & MSG_OOB) return -Errno.EOPNOTSUPP;
    if (bytes.length === 0) return 0;
    const room = this.sendBufferBytes - this.unacknowledged;
    if (room <= 0 || this.#writeFault.occurs()) return -Errno.EAGAIN;
    const count = this.#shortened(Math.min(room, bytes.length), 'shortWrites');
    if (this.#simulation.random.chance(this.#simulation.faults.resets)) this.#breakConnection();
    else {
      this.#sendBytes(
        Uint8Array.from(bytes.subarray(0, count)),
        (flags & MSG_OOB) !== 0 && count === bytes.length,
      );
    }
    return count;
  }

  /** shutdown(2). */
  shutdown(how: number): number {
    if (this.phase === 'listening') return this.#shutDownListener(how);
    if (!this.isUnix && this.phase !== 'connected' && this.phase !== 'connecting') {
      return -Errno.ENOTCONN;
    }
    if (this.phase === 'connecting') {
      this.phase = 'unconnected';
      return 0;
    }
    const wasWriteShut = this.#isWriteShut;
    if (how !== SHUT_WR) this.#isReadShut = true;
    if (how !== SHUT_RD) this.#isWriteShut = true;
    if (this.isUnix) this.#sendToPeer((peer) => peer.#onShutdown(how));
    else if (how !== SHUT_RD && !wasWriteShut) this.#sendToPeer((peer) => peer.#onEnd());
    return 0;
  }

  /** A TCP listener listens no more, and can again; a Unix one refuses what still comes. */
  #shutDownListener(how: number): number {
    if (how === SHUT_WR) return 0;
    if (this.isUnix) {
      this.#isReadShut = true;
      return 0;
    }
    this.phase = 'unconnected';
    this.#resetBacklog();
    return 0;
  }

  /** Connections that were not accepted are reset. */
  #resetBacklog(): void {
    for (const waiting of this.backlog.splice(0)) {
      waiting.resetsOnClose = true;
      waiting.close();
    }
  }

  close(): void {
    const hadUnread = this.#received.length > 0;
    const { phase } = this;
    this.phase = 'closed';
    this.#received.clear();
    this.#resetBacklog();
    if (phase !== 'connected') return;
    const isReset = hadUnread || this.resetsOnClose;
    if (this.isUnix) this.#sendToPeer((peer) => peer.#onClose(isReset));
    else if (isReset) this.#sendToPeer((peer) => peer.#onReset());
    else if (!this.#isWriteShut) this.#sendToPeer((peer) => peer.#onEnd());
  }

  /** accept(2): the oldest connection of the backlog, or a negative error number. */
  accept(): Stream | number {
    if (this.phase !== 'listening') return -Errno.EINVAL;
    if (this.backlog.length === 0 || this.#readFault.occurs()) return -Errno.EAGAIN;
    if (this.#acceptFault.occurs()) return -Errno.EMFILE;
    return this.backlog.shift() ?? -Errno.EAGAIN;
  }

  /** Whether connections to it are refused. */
  get refuses(): boolean {
    return this.phase !== 'listening' || this.#isReadShut;
  }

  /** How many bytes were sent that the peer has not read. */
  get unacknowledged(): number {
    const peer = this.#peer;
    return peer === undefined ? 0 : peer.#bytesInFlight + peer.#received.length;
  }

  /** recv(2) with MSG_OOB. */
  #receiveUrgent(into: Uint8Array, flags: number): number {
    if (this.isUnix) return -Errno.EOPNOTSUPP;
    const { urgent } = this.#received;
    if (urgent === undefined || this.isUrgentInline) return -Errno.EINVAL;
    if (!(flags & MSG_PEEK)) this.#received.urgent = undefined;
    into[0] = urgent;
    return Math.min(1, into.length);
  }

  /** `count`, or fewer if the fault occurs. */
  #shortened(count: number, fault: 'shortReads' | 'shortWrites'): number {
    const { random, faults } = this.#simulation;
    return count > 1 && random.chance(faults[fault]) ? random.integer(1, count - 1) : count;
  }

  /** Sends bytes that the send buffer has room for. */
  #sendBytes(bytes: Uint8Array, isUrgent: boolean): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    peer.#bytesInFlight += bytes.length;
    this.#sendToPeer(() => {
      peer.#bytesInFlight -= bytes.length;
      peer.#onBytes(bytes, isUrgent);
    });
  }

  /** Sends the peer a message, which arrives after a delay and after all earlier messages. */
  #sendToPeer(deliver: (peer: Stream) => void): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    const simulation = this.#simulation;
    const atMs = Math.max(this.#lastArrivalMs, simulation.nowMs + simulation.delayMs());
    if (atMs <= simulation.nowMs && this.#messagesInFlight === 0) {
      deliver(peer);
      return;
    }
    this.#lastArrivalMs = atMs;
    this.#messagesInFlight++;
    const lossCount = this.#lossCount;
    simulation.schedule(atMs, () => {
      if (this.#lossCount !== lossCount) return;
      this.#messagesInFlight--;
      deliver(peer);
    });
  }

  #onBytes(bytes: Uint8Array, isUrgent: boolean): void {
    if (this.phase === 'connected') this.#received.push(bytes, isUrgent, this.isUrgentInline);
    // Bytes for a closed socket: TCP answers with a reset.
    else if (this.phase === 'closed' && !this.isUnix) this.#sendToPeer((peer) => peer.#onReset());
  }

  #onEnd(): void {
    this.#hasPeerEnded = true;
    this.#isReadShut = true;
  }

  #onReset(): void {
    if (this.phase !== 'connected' || (this.#hasPeerEnded && this.#isWriteShut)) return;
    this.#error = this.#hasPeerEnded ? Errno.EPIPE : Errno.ECONNRESET;
    this.#markFailed();
  }

  /** A Unix socket notices both sides of its peer's shutdown. */
  #onShutdown(how: number): void {
    if (how !== SHUT_WR) this.#isWriteShut = true;
    if (how !== SHUT_RD) this.#isReadShut = true;
  }

  #onClose(hadUnread: boolean): void {
    if (hadUnread) this.#error = Errno.ECONNRESET;
    this.#isReadShut = true;
    this.#isWriteShut = true;
  }

  /** Breaks the connection: both ends are reset, and all messages in flight are lost. */
  #breakConnection(): void {
    const peer = this.#peer;
    for (const end of [this, peer]) {
      if (end === undefined) continue;
      end.#lossCount++;
      end.#messagesInFlight = 0;
      end.#bytesInFlight = 0;
      if (end.isUnix) end.#onClose(true);
      else end.#onReset();
    }
  }

  /** Nothing can be sent or received any more. */
  #markFailed(): void {
    if (this.phase !== 'closed') this.phase = 'failed';
    this.#isReadShut = true;
    this.#isWriteShut = true;
  }
}
