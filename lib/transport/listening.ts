/** Listening: accepts connections, within limits, and rests where accepting fails. */
import { ownFile, Socket, type SocketSurface, whenGone } from '../sockets/socket';
import { packAddress, socketFileAt, unpackAddress } from '../sockets/address';
import type { Address, SocketAddress } from '../system/address-types';
import { checkInteger, rangeError, typeError } from '../system/arguments';
import { constants, Errno } from '../system/constants';
import { SystemError } from '../system/errors';
import { ENDING, POLLIN, POLLNVAL } from '../system/readiness';

import type { Handled, Owner } from './callbacks';
import type { Timer } from './loop';
import { Flag, Phase } from './phase';
import { listeningInterest, Transport, unclaimed } from './transport';

/** How long a listener rests when accepting fails; doubled from the first to the last. */
const FIRST_REST_SECONDS = 0.05;
const LAST_REST_SECONDS = 1;

const { inputParked, raised, readable } = Flag;

/** What a listener knows of its handler. */
export interface AcceptOwner extends Owner {
  readonly maxConnections: number;
  readonly acceptsPerTurn: number;
  handleAccept(socket: Socket, address: SocketAddress): Handled;
  handleAcceptError(error: SystemError): Handled;
}

export class ListeningTransport extends Transport<AcceptOwner> {
  /** Socket options that were set before there was a socket. */
  readonly #pendingOptions: number[] = [];
  /** Whether `bind` replaces a file that no socket is bound to any more. */
  #reusesPath = false;
  /** How many connections this turn accepts at most. */
  #burst = 1;
  #lastTurn = 0;
  #rest: Timer | undefined = undefined;
  #restSeconds = FIRST_REST_SECONDS;
  /** The limit, where the handler does not have it as a field. */
  #maxConnections = Infinity;
  /** How many connections count for the limit. */
  #count = 0;
  /** The kernel says that it is shut down, by any process that shares it. shutdown(2) */
  #isShutDown = false;
  readonly #connectionGone = (): void => {
    this.#count--;
    this.acceptAgain();
  };

  override interest(): number {
    return this.phase === Phase.listening ? listeningInterest(this) : 0;
  }

  override ready(bits: number): void {
    if (bits & POLLNVAL) {
      this.lose();
      return;
    }
    this.#isShutDown = (bits & ENDING) !== 0;
    // Of a TCP listener the kernel reports POLLHUP alone; accept(2) returns the error.
    this.readyToAccept(this.#isShutDown ? bits | POLLIN : bits);
  }

  /** Without memory or watches (epoll_ctl(2)) for its descriptor it rests, as where accepting fails. */
  override pending(): void {
    const { failure } = this;
    if (!this.isMember || failure === undefined) return;
    if (this.isLost) {
      this.lose();
      return;
    }
    this.failure = undefined;
    try {
      this.runInAsyncScope(() => {
        this.#restAfter(failure);
      });
    } catch (error) {
      this.loop.report(this.owner, error);
    }
  }

  override resume(): void {
    if (this.failure !== undefined) this.loop.pendingLater(this);
  }

  get maxConnections(): number {
    return this.#maxConnections;
  }

  setMaxConnections(count: number): void {
    checkMaxConnections(count);
    this.#maxConnections = count;
    this.acceptAgain();
  }

  setOption(option: number): void {
    if (this.isClosed) this.openSocket('setsockopt');
    if (this.socket === undefined) this.#pendingOptions.push(option);
    else this.socket.setsockopt(constants.SOL_SOCKET, option, true);
  }

  reusePath(): void {
    if (this.isClosed) this.openSocket('reusePath');
    this.#reusesPath = true;
  }

  bindTo(address: Address): void {
    if (this.isClosed) this.openSocket('bind');
    const { family, packed } = packAddress(address, this.loop.kernel);
    const isOurs = this.socket === undefined;
    if (isOurs) this.attach(Socket.createOn(this.loop.kernel, family));
    const socket = this.openSocket('bind');
    try {
      for (const option of this.#pendingOptions) {
        socket.setsockopt(constants.SOL_SOCKET, option, true);
      }
      this.#bindSocket(socket, unpackAddress(packed));
    } catch (error) {
      // The next address may be of another family.
      if (isOurs) this.dropSocket();
      throw error;
    }
  }

  listen(backlog: number): void {
    checkInteger('backlog', backlog);
    this.#checkLimits();
    this.openSocket('listen').listen(backlog);
    this.enter(Phase.listening);
    this.loop.interestChanged(this);
    this.setReadable(true);
  }

  /** Accepts what waits in the backlog, and calls `handleAccept` for each. */
  acceptWaiting(): void {
    try {
      this.#checkLimits();
    } catch (error) {
      // Or it would be thrown in every turn.
      this.#restAWhile();
      throw error;
    }
    const { turn } = this.loop;
    const { acceptsPerTurn } = this.owner;
    // A lone connection costs no second accept(2) that only returns EAGAIN. A listener that is ready
    // turn after turn is busy, and takes more at a time.
    this.#burst = turn === this.#lastTurn + 1 ? Math.min(2 * this.#burst, acceptsPerTurn) : 1;
    this.#lastTurn = turn;
    // Any connection may have been made the last: closed, paused or deregistered in its callback.
    for (let i = 0; i < this.#burst && this.wants(readable) && this.#hasRoom; i++) {
      if (!this.#acceptOne()) break;
    }
    if (!this.#hasRoom) this.#park();
  }

  /** Accepts again, unless there is another reason to rest. */
  acceptAgain(): void {
    if (!(this.flags & inputParked) || this.#rest?.pending === true || !this.#hasRoom) return;
    this.flags &= ~inputParked;
    this.loop.interestChanged(this);
  }

  protected override release(): void {
    this.#rest?.cancel();
  }

  get #hasRoom(): boolean {
    return this.#count < this.owner.maxConnections;
  }

  #checkLimits(): void {
    checkMaxConnections(this.owner.maxConnections);
    checkInteger('acceptsPerTurn', this.owner.acceptsPerTurn, 1);
  }

  /** The file that it makes is removed when the socket is closed, by whatever call. */
  #bindSocket(socket: SocketSurface, address: SocketAddress): void {
    const { kernel } = this.loop;
    try {
      socket.bind(address);
    } catch (error) {
      const isInUse = error instanceof SystemError && error.errno === Errno.addressInUse;
      const left = isInUse && this.#reusesPath ? socketFileAt(address, kernel) : undefined;
      if (left?.isDead() !== true || !left.remove()) throw error;
      socket.bind(address);
    }
    const file = socketFileAt(address, kernel);
    if (file !== undefined && socket instanceof Socket) socket[ownFile] = file;
  }

  /** Returns whether there may be more to accept. */
  #acceptOne(): boolean {
    let accepted;
    try {
      accepted = this.openSocket('accept').accept();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // The peer has gone while it waited in the backlog. accept(2)
      if (error.errno === Errno.connectionAborted) return true;
      this.#restAfter(error);
      return false;
    }
    if (accepted === undefined) {
      // unix(7) says EAGAIN, as if a connection could still come.
      if (this.#isShutDown) this.#restAfter(new SystemError('accept', Errno.invalidArgument));
      return false;
    }
    this.#restSeconds = FIRST_REST_SECONDS;
    this.flags &= ~raised;
    const { socket, address } = accepted;
    if (this.owner.maxConnections < Infinity) {
      this.#count++;
      socket[whenGone] = this.#connectionGone;
    }
    this.#deliver(socket, address);
    return true;
  }

  /** Where `handleAccept` fails, a socket that no handler (of whatever map) has taken is closed. */
  #deliver(socket: Socket, address: SocketAddress): void {
    const abandon = (): void => {
      if (unclaimed.has(socket)) socket.close();
    };
    unclaimed.add(socket);
    try {
      const result = this.owner.handleAccept(socket, address);
      this.callbacks.settle(this.owner, result);
      if (result !== undefined) Promise.resolve(result).catch(abandon);
    } catch (error) {
      abandon();
      throw error;
    }
  }

  #restAfter(error: SystemError): void {
    this.#restAWhile();
    this.callbacks.settle(this.owner, this.owner.handleAcceptError(error));
  }

  #restAWhile(): void {
    this.#park();
    this.#rest?.cancel();
    this.#rest = this.loop.callIn(this.#restSeconds, () => {
      this.acceptAgain();
    });
    this.#restSeconds = Math.min(2 * this.#restSeconds, LAST_REST_SECONDS);
  }

  /** Connections stay in the backlog meanwhile, and the loop is not woken for them. */
  #park(): void {
    this.flags |= inputParked;
    this.loop.interestChanged(this);
  }
}

function checkMaxConnections(count: unknown): void {
  if (typeof count !== 'number') throw typeError('maxConnections', count, 'a number');
  if (count === Infinity || (Number.isInteger(count) && count > 0)) return;
  throw rangeError('maxConnections', count, 'an integer, 1 or more, or Infinity');
}
