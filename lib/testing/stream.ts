/**
 * A stream socket as Linux has them: what it answers in each of its states, and what its peer hears
 * of it. The order of the checks, and the bits of poll(2), are those of tcp_poll, tcp_recvmsg and
 * tcp_sendmsg, and of their unix_ namesakes.
 */
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP } from '../system/readiness';
import type { SocketAddress } from '../system/address-types';
import { constants } from '../system/constants';

import { Errno, type Description } from './description';
import { ReceiveQueue } from './receive-queue';
import { Hiccup, type Simulation } from './simulation';

const { AF_UNIX, MSG_OOB, MSG_PEEK, SHUT_RD, SHUT_WR } = constants;

/** What Linux grants a socket for its output unless it is asked otherwise (net.core.wmem_default). */
const SEND_BUFFER_BYTES = 212_992;

/** `dead`: it was connected, or tried to be, and has failed. `closed`: nobody has it any more. */
type Phase = 'fresh' | 'connecting' | 'connected' | 'dead' | 'listening' | 'closed';

export class Stream implements Description {
  phase: Phase = 'fresh';
  local: SocketAddress | undefined = undefined;
  remote: SocketAddress | undefined = undefined;
  /** Whoever was connected and not accepted yet. */
  readonly backlog: Stream[] = [];
  backlogLimit = 0;
  /** Options that were set, as they were. */
  readonly options = new Map<string, Uint8Array>();
  sendBufferBytes = SEND_BUFFER_BYTES;
  /** SO_OOBINLINE. */
  isUrgentInline = false;
  /** SO_LINGER of 0 seconds: closing resets. */
  resetsOnClose = false;
  readonly #simulation: Simulation;
  readonly #readHiccup: Hiccup;
  readonly #writeHiccup: Hiccup;
  readonly #acceptHiccup: Hiccup;
  readonly #received = new ReceiveQueue();
  #peer: Stream | undefined = undefined;
  #error = 0;
  #isReadShut = false;
  #isWriteShut = false;
  /** The peer has ended its side, as TCP's FIN says. */
  #hasEnded = false;
  /** How many bytes are on their way here. */
  #underWay = 0;
  /** What we send does not arrive before this. */
  #lastArrivalMs = 0;
  /** How much of what we sent has not arrived yet. */
  #unarrived = 0;
  /** Grows when what is under way is lost. */
  #losses = 0;

  constructor(
    simulation: Simulation,
    readonly family: number,
  ) {
    this.#simulation = simulation;
    this.#readHiccup = new Hiccup(simulation, 'wouldBlock');
    this.#writeHiccup = new Hiccup(simulation, 'wouldBlock');
    this.#acceptHiccup = new Hiccup(simulation, 'outOfDescriptors');
  }

  get isUnix(): boolean {
    return this.family === AF_UNIX;
  }

  /** Connects two streams. */
  join(peer: Stream): void {
    this.#peer = peer;
    peer.#peer = this;
    this.phase = 'connected';
    peer.phase = 'connected';
  }

  /** The attempt to connect has failed. */
  fail(errno: number): void {
    this.#error = errno;
    this.#die();
  }

  /** SO_ERROR: tells the error once. */
  takeError(): number {
    const error = this.#error;
    this.#error = 0;
    return error;
  }

  readiness(): number {
    if (this.phase === 'listening') return this.backlog.length > 0 ? POLLIN : 0;
    let bits = this.#error === 0 ? 0 : POLLERR;
    if (this.phase === 'connecting') return bits;
    if (this.#isReadShut) bits |= POLLIN | POLLRDHUP;
    if (this.#received.available(this.isUrgentInline) > 0) bits |= POLLIN;
    if (this.#received.urgent !== undefined) bits |= POLLPRI;
    if ((this.#isReadShut && this.#isWriteShut) || this.phase === 'fresh') bits |= POLLHUP;
    const unread = this.unacknowledged;
    const isWritable = this.isUnix
      ? 4 * unread <= this.sendBufferBytes
      : this.#isWriteShut || 3 * unread <= 2 * this.sendBufferBytes;
    return isWritable ? bits | POLLOUT : bits;
  }

  receive(into: Uint8Array, flags: number): number {
    if (flags & MSG_OOB) return this.#receiveUrgent(into, flags);
    if (this.phase === 'fresh' || this.phase === 'listening') {
      return this.isUnix ? -Errno.EINVAL : -Errno.ENOTCONN;
    }
    if (this.#received.length > 0) {
      const isPeek = (flags & MSG_PEEK) !== 0;
      if (!isPeek && this.#readHiccup.strikes()) return -Errno.EAGAIN;
      const most = Math.min(into.length, this.#received.length);
      const wanted = isPeek ? most : this.#shortened(most, 'shortReads');
      const count = this.#received.read(into.subarray(0, wanted), this.isUrgentInline, isPeek);
      if (count > 0 || into.length === 0) return count;
    }
    if (this.#hasEnded && !this.isUnix) return 0;
    if (this.#error !== 0) return -this.takeError();
    return this.#isReadShut ? 0 : -Errno.EAGAIN;
  }

  send(bytes: Uint8Array, flags: number): number {
    if (this.phase === 'fresh' || this.phase === 'listening') {
      return this.isUnix ? -Errno.ENOTCONN : -Errno.EPIPE;
    }
    if (this.phase === 'connecting') return -Errno.EAGAIN;
    if (this.#isWriteShut) return -((this.isUnix ? 0 : this.takeError()) || Errno.EPIPE);
    if (this.isUnix && flags & MSG_OOB) return -Errno.EOPNOTSUPP;
    if (bytes.length === 0) return 0;
    const room = this.sendBufferBytes - this.unacknowledged;
    if (room <= 0 || this.#writeHiccup.strikes()) return -Errno.EAGAIN;
    const count = this.#shortened(Math.min(room, bytes.length), 'shortWrites');
    if (this.#simulation.random.chance(this.#simulation.faults.resets)) this.#break();
    else {
      this.#sendBytes(
        Uint8Array.from(bytes.subarray(0, count)),
        (flags & MSG_OOB) !== 0 && count === bytes.length,
      );
    }
    return count;
  }

  shutdown(how: number): number {
    if (!this.isUnix && this.phase !== 'connected' && this.phase !== 'connecting') {
      return -Errno.ENOTCONN;
    }
    if (this.phase === 'connecting') {
      this.phase = 'fresh';
      return 0;
    }
    const wasWriteShut = this.#isWriteShut;
    if (how !== SHUT_WR) this.#isReadShut = true;
    if (how !== SHUT_RD) this.#isWriteShut = true;
    if (this.isUnix) this.#tell((peer) => peer.#hearShutdown(how));
    else if (how !== SHUT_RD && !wasWriteShut) this.#tell((peer) => peer.#hearEnd());
    return 0;
  }

  close(): void {
    const hadUnread = this.#received.length > 0;
    const { phase } = this;
    this.phase = 'closed';
    this.#received.clear();
    // Whoever waited to be accepted is turned away.
    for (const waiting of this.backlog.splice(0)) {
      waiting.resetsOnClose = true;
      waiting.close();
    }
    if (phase !== 'connected') return;
    const isReset = hadUnread || this.resetsOnClose;
    if (this.isUnix) this.#tell((peer) => peer.#hearClose(isReset));
    else if (isReset) this.#tell((peer) => peer.#hearReset());
    else if (!this.#isWriteShut) this.#tell((peer) => peer.#hearEnd());
  }

  /** The connection that has waited longest, or a negative errno. */
  accept(): Stream | number {
    if (this.phase !== 'listening') return -Errno.EINVAL;
    if (this.backlog.length === 0 || this.#readHiccup.strikes()) return -Errno.EAGAIN;
    if (this.#acceptHiccup.strikes()) return -Errno.EMFILE;
    return this.backlog.shift() ?? -Errno.EAGAIN;
  }

  /** What we sent and the peer has not read. */
  get unacknowledged(): number {
    const peer = this.#peer;
    return peer === undefined ? 0 : peer.#underWay + peer.#received.length;
  }

  #receiveUrgent(into: Uint8Array, flags: number): number {
    if (this.isUnix) return -Errno.EOPNOTSUPP;
    const { urgent } = this.#received;
    if (urgent === undefined || this.isUrgentInline) return -Errno.EINVAL;
    if (!(flags & MSG_PEEK)) this.#received.urgent = undefined;
    into[0] = urgent;
    return Math.min(1, into.length);
  }

  #shortened(count: number, fault: 'shortReads' | 'shortWrites'): number {
    const { random, faults } = this.#simulation;
    return count > 1 && random.chance(faults[fault]) ? random.integer(1, count - 1) : count;
  }

  #sendBytes(bytes: Uint8Array, isUrgent: boolean): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    peer.#underWay += bytes.length;
    this.#tell(() => {
      peer.#underWay -= bytes.length;
      peer.#hearBytes(bytes, isUrgent);
    });
  }

  /** Has the peer hear of something, in its time, and behind all that it was told before. */
  #tell(hear: (peer: Stream) => void): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    const simulation = this.#simulation;
    const atMs = Math.max(this.#lastArrivalMs, simulation.nowMs + simulation.delayMs());
    if (atMs <= simulation.nowMs && this.#unarrived === 0) {
      hear(peer);
      return;
    }
    this.#lastArrivalMs = atMs;
    this.#unarrived++;
    const losses = this.#losses;
    simulation.at(atMs, () => {
      if (this.#losses !== losses) return;
      this.#unarrived--;
      hear(peer);
    });
  }

  #hearBytes(bytes: Uint8Array, isUrgent: boolean): void {
    if (this.phase === 'connected') this.#received.push(bytes, isUrgent, this.isUrgentInline);
    // Nobody is left to read it, and TCP says so.
    else if (this.phase === 'closed' && !this.isUnix) this.#tell((peer) => peer.#hearReset());
  }

  #hearEnd(): void {
    this.#hasEnded = true;
    this.#isReadShut = true;
  }

  #hearReset(): void {
    if (this.phase !== 'connected' || (this.#hasEnded && this.#isWriteShut)) return;
    this.#error = this.#hasEnded ? Errno.EPIPE : Errno.ECONNRESET;
    this.#die();
  }

  /** unix(7): each side hears what the other has shut down. */
  #hearShutdown(how: number): void {
    if (how !== SHUT_WR) this.#isWriteShut = true;
    if (how !== SHUT_RD) this.#isReadShut = true;
  }

  #hearClose(hadUnread: boolean): void {
    if (hadUnread) this.#error = Errno.ECONNRESET;
    this.#isReadShut = true;
    this.#isWriteShut = true;
  }

  /** The network has lost the connection, and all that was under way on it. */
  #break(): void {
    const peer = this.#peer;
    for (const end of [this, peer]) {
      if (end === undefined) continue;
      end.#losses++;
      end.#unarrived = 0;
      end.#underWay = 0;
      if (end.isUnix) end.#hearClose(true);
      else end.#hearReset();
    }
  }

  #die(): void {
    if (this.phase !== 'closed') this.phase = 'dead';
    this.#isReadShut = true;
    this.#isWriteShut = true;
  }
}
