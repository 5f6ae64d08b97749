/** Handlers on a real map that play a history, and the bytes that they send and receive. */
import {
  AcceptHandler,
  constants,
  type Socket,
  type SocketSurface,
  SystemError,
  WOULD_BLOCK,
} from '../../lib';
import { systemKernel } from '../../lib/system/system-kernel';
import { BufferedWriteHandler } from '../../lib/protocols';
import { POLLERR, POLLHUP, POLLIN, POLLPRI, POLLRDHUP } from '../../lib/select';
import { kernel } from '../support/kernels';
import { reset, untilReady } from '../support/streams';

import { FLOOD_BYTES } from './kernel';
import type { RealStage } from './real-stage';
import { type Cast, type Player, Role } from './stage';

/** More iterations than any step needs to become idle. */
export const MOST_ROUNDS = 200;
/** Bytes that depend on their position, longer than a flood. */
const PERIOD = 251;
const PATTERN = Buffer.alloc(FLOOD_BYTES + 256 * 1024);
for (let i = 0; i < PATTERN.length; i++) PATTERN[i] = (i % PERIOD) ^ 0x5a;
const SCRATCH = Buffer.alloc(256 * 1024);

/** What a callback raises on purpose. */
export class Raised extends Error {}

/** One direction of a connection: the numbers of sent and received bytes. */
class Line {
  static #count = 0;
  readonly #shift = Line.#count++;
  sent = 0;
  received = 0;

  next(n: number): Buffer {
    const from = (this.sent + this.#shift) % PERIOD;
    this.sent += n;
    return PATTERN.subarray(from, from + n);
  }

  /** The number of received bytes, if they are correct. */
  check(bytes: Uint8Array): string {
    const from = (this.received + this.#shift) % PERIOD;
    this.received += bytes.length;
    const isRight = PATTERN.subarray(from, from + bytes.length).equals(bytes);
    return isRight ? String(bytes.length) : `${bytes.length} WRONG BYTES`;
  }
}

/** Both directions of a connection seen from one end, and the other end if it is a raw socket. */
interface Wires {
  readonly incoming: Line;
  readonly outgoing: Line;
  readonly raw: Socket | undefined;
}

/** TCP_NODELAY (tcp(7)): otherwise small data waits for acknowledgement of earlier data. */
export function sendAtOnce(socket: SocketSurface): void {
  socket.setsockopt(constants.IPPROTO_TCP, constants.TCP_NODELAY, true);
}

export function wires(raw?: Socket): Wires {
  return { incoming: new Line(), outgoing: new Line(), raw };
}

/** The same connection seen from its other end. */
export function opposite({ incoming, outgoing }: Wires): Wires {
  return { incoming: outgoing, outgoing: incoming, raw: undefined };
}

export class Stream extends BufferedWriteHandler implements Player {
  readonly role: Role;
  hasUrgent = false;
  isFlooded = false;
  #urgentAt = 0;
  #isEmptying = false;

  constructor(
    readonly life: RealStage,
    cast: Cast,
    readonly wires: Wires,
    socket?: Socket,
  ) {
    super(life.map, socket);
    this.role = new Role(life.players.length, cast);
    this.allowHalfOpen = cast.allowHalfOpen;
    life.players.push(this);
    this.setReadable(true);
    if (cast.kind !== 'tcp') return;
    if (socket !== undefined) sendAtOnce(socket);
    if (wires.raw !== undefined) sendAtOnce(wires.raw);
  }

  get isClogged(): boolean {
    if (this.bufferedAmount === 0) this.isFlooded = false;
    return this.isFlooded;
  }

  take(n: number): void {
    this.life.note(this, `has ${this.#receive(n)}`);
  }

  #receive(n: number): string {
    const { incoming } = this.wires;
    const startsAtUrgent = incoming.received === this.#urgentAt;
    const told = incoming.check(this.read(n));
    if (incoming.received > this.#urgentAt || startsAtUrgent) this.hasUrgent = false;
    return told;
  }

  transmit(n: number): void {
    const data = this.wires.outgoing.next(n);
    if (this.role.cast.isBuffered) this.sendAll(data);
    else this.send(data);
  }

  flood(): void {
    const { raw } = this.wires;
    this.socket.setsockopt(constants.SOL_SOCKET, constants.SO_SNDBUF, 65536);
    raw?.setsockopt(constants.SOL_SOCKET, constants.SO_RCVBUF, 65536);
    this.sendAll(this.wires.outgoing.next(FLOOD_BYTES));
    this.isFlooded = true;
  }

  shut(): void {
    this.shutdown(constants.SHUT_WR);
  }

  override handleConnect(): void {
    this.life.tell(this, 'connect');
  }

  override handleConnectFailed(error: SystemError): void {
    this.life.tell(this, 'connectFailed', error.code);
  }

  override handleRead(): void {
    this.life.tell(this, 'read', this.#receive(this.role.readBytes));
  }

  override handleWrite(): void {
    const wasClogged = this.isClogged;
    if (wasClogged) this.life.seen.wrote.push(this.role.id);
    else this.life.tell(this, 'write');
    if (!this.role.cast.isBuffered) return;
    this.#isEmptying = wasClogged;
    void super.handleWrite();
    if (this.bufferedAmount === 0) this.#noteEmptied();
  }

  override handleDrain(): void {
    // Before the callback, whose action may flood again.
    this.#noteEmptied();
    this.life.tell(this, 'drain');
  }

  #noteEmptied(): void {
    if (this.#isEmptying) this.life.seen.emptied.push(this.role.id);
    this.#isEmptying = false;
  }

  override handleExcept(error?: SystemError): void {
    this.life.tell(this, 'except', error?.code);
  }

  override handleEnd(): void {
    this.life.tell(this, 'end');
  }

  override handleClose(error?: SystemError): void {
    this.life.tell(this, 'close', error?.code);
  }

  override handleCleanup(): void {
    this.life.tellCleanup(this);
  }

  override handleError(error: unknown): void {
    noteError(this, error);
    this.close();
  }

  rawSend(n: number): void {
    const { raw, incoming } = this.wires;
    if (raw === undefined) return;
    const before = this.#arrived();
    if (raw.send(incoming.next(n)) !== n) throw new Error('the kernel did not take it all');
    while (this.#arrived() < before + n);
  }

  rawSendUrgent(): void {
    this.wires.raw?.send(Buffer.from('!'), 0, 1, constants.MSG_OOB);
    this.#await(POLLPRI);
    this.hasUrgent = true;
    this.#urgentAt = this.wires.incoming.sent;
  }

  rawEnd(): void {
    try {
      this.wires.raw?.shutdown(constants.SHUT_WR);
    } catch (error) {
      if (!(error instanceof SystemError && error.code === 'ENOTCONN')) throw error;
    }
    this.#await(POLLRDHUP);
  }

  rawClose(isReset: boolean): void {
    const { raw } = this.wires;
    if (raw === undefined) return;
    if (isReset) reset(raw);
    else raw.close();
    this.#await(POLLRDHUP | POLLHUP | POLLERR);
  }

  rawReceive(): void {
    const { raw, outgoing } = this.wires;
    const isThere = this.role.raw === 'open' || this.role.raw === 'ended';
    if (!isThere || raw === undefined) return;
    const wasFlooded = outgoing.sent >= FLOOD_BYTES;
    const before = outgoing.received;
    const isStuck = (): boolean => this.isClogged && this.role.isInMap;
    let verdict = this.#absorb(raw);
    if (isStuck()) {
      let rounds = 0;
      for (; isStuck() && rounds < MOST_ROUNDS; rounds++) {
        this.life.turnOnce();
        verdict ||= this.#absorb(raw);
      }
      this.life.allSeen.rounds.push(rounds);
    }
    if (raw.closed) return;
    verdict ||= this.#absorb(raw);
    const count = outgoing.received - before;
    this.life.note(this, `peer has ${wasFlooded ? 'a flood' : count} ${verdict}`);
  }

  /** Receives everything at the peer; waits for an end that must arrive. */
  #absorb(raw: Socket): string {
    if (raw.closed) return '';
    const isOver = this.closed;
    for (;;) {
      if (isOver) untilReady(raw, POLLIN | POLLRDHUP);
      try {
        const count = raw.recvInto(SCRATCH);
        if (count === WOULD_BLOCK) return '';
        if (count === 0) return 'end';
        const told = this.wires.outgoing.check(SCRATCH.subarray(0, count));
        if (told.includes('WRONG')) this.life.note(this, `peer has ${told}`);
      } catch (error) {
        return (error as SystemError).code;
      }
    }
  }

  /** All received bytes (tcp_info's bytes_received); only real TCP delivers with a delay. */
  #arrived(): number {
    if (this.role.cast.kind === 'unix' || kernel() !== systemKernel) return Infinity;
    const info = this.socket.getsockopt(constants.IPPROTO_TCP, constants.TCP_INFO, 136);
    return Number(info.readBigUInt64LE(128));
  }

  #await(bits: number): void {
    if (!this.closed && this.role.cast.kind === 'tcp') untilReady(this.socket as Socket, bits);
  }
}

export class Listener extends AcceptHandler implements Player {
  readonly role: Role;
  readonly bufferedAmount = 0;
  readonly isClogged = false;
  readonly hasUrgent = false;
  readonly backlog: Wires[] = [];

  constructor(
    readonly life: RealStage,
    cast: Cast,
  ) {
    super(life.map);
    this.role = new Role(life.players.length, cast);
    this.role.isListener = true;
    life.players.push(this);
    this.reuseAddr();
    this.bind(cast.kind === 'tcp' ? ['127.0.0.1', 0] : freePath());
    this.listen(16);
  }

  /** A connection is pending: waits until it can be accepted. */
  expect(from: Wires): void {
    this.backlog.push(from);
    untilReady(this.socket as Socket, POLLIN);
  }

  override handleAccept(socket: Socket): void {
    const { life, role } = this;
    role.waiting--;
    const from = this.backlog.shift() ?? wires();
    const stream = new Stream(
      life,
      { ...role.cast, hasRawPeer: from.raw !== undefined },
      from,
      socket,
    );
    if (from.raw !== undefined) stream.role.raw = 'open';
    life.tell(this, 'accept');
  }

  override handleCleanup(): void {
    this.life.tellCleanup(this);
  }

  override handleError(error: unknown): void {
    noteError(this, error);
  }

  // Actions on streams only.
  take(): void {}
  transmit(): void {}
  flood(): void {}
  shut(): void {}
  end(): void {}
  rawSend(): void {}
  rawSendUrgent(): void {}
  rawEnd(): void {}
  rawClose(): void {}
  rawReceive(): void {}
}

function noteError(handler: Stream | Listener, error: unknown): void {
  handler.life.note(handler, `error ${error instanceof Raised ? 'raised' : String(error)}`);
}

let pathCount = 0;
/** An unused abstract address. */
export function freePath(): string {
  return `\0asynchia-histories-${process.pid}-${pathCount++}`;
}
