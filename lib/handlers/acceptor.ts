/** AcceptHandler: listens, and accepts connections. */
import { checkInteger, rangeError, typeError } from '../arguments';
import { SystemError } from '../errors';
import { packAddress, unpackAddress } from '../sockets/address';
import type { Address, SocketAddress } from '../sockets/address-types';
import { constants, Errno } from '../sockets/constants';
import { Socket, whenGone } from '../sockets/socket';
import type { Timer } from '../timers';

import { type Handled, Handler } from './handler';
import { failure, registry, release, socketOf, state, State, unwatched } from './handler-state';
import { dropSocket, giveSocket, openSocket, unclaimed } from './life';

/** How long a listener rests when accepting fails, doubling from the first to the last. */
const FIRST_REST_SECONDS = 0.05;
const LAST_REST_SECONDS = 1;

/** Listens on a socket and accepts connections. asynchia's `AcceptHandler`. */
export class AcceptHandler extends Handler {
  /**
   * Most connections at once; without limit, `Infinity`, unless it is set: in a subclass or at any
   * time. At the limit the listener rests: connections wait in the backlog, and accepting goes on as
   * soon as one has ended. What counts is every socket that was accepted while there was a limit,
   * whoever has it, until its descriptor is closed or detached.
   *
   * A class that declares it as a field hides the accessor: what is set on its instances later is
   * heeded when the next connection comes or ends. A bad value throws: when set, or from `listen`.
   */
  declare maxConnections: number;
  /**
   * Most connections that one turn accepts, so that a storm of them starves nobody. 64 unless it is
   * set. Checked by `listen`.
   */
  declare acceptsPerTurn: number;

  /** Options that were set before there was a socket to set them on. */
  readonly #pendingOptions: number[] = [];
  #burst = 1;
  #lastTurn = 0;
  #rest: Timer | undefined = undefined;
  #restSeconds = FIRST_REST_SECONDS;
  #maxConnections = Infinity;
  /** How many of the connections that count are there. */
  #count = 0;
  /** One of them has ended. */
  readonly #gone = (): void => {
    this.#count--;
    this.#goOn();
  };

  static {
    this.prototype.acceptsPerTurn = 64;
    Object.defineProperty(this.prototype, 'maxConnections', {
      configurable: true,
      get(this: AcceptHandler): number {
        return this.#maxConnections;
      },
      set(this: AcceptHandler, count: number) {
        checkMaxConnections(count);
        this.#maxConnections = count;
        this.#goOn();
      },
    });
  }

  /** `SO_REUSEADDR`: binds to a port whose old connections still linger. */
  reuseAddr(): void {
    this.#setOption(constants.SO_REUSEADDR);
  }

  /** `SO_REUSEPORT`: several listeners, of several processes too, share a port. */
  reusePort(): void {
    this.#setOption(constants.SO_REUSEPORT);
  }

  /**
   * Binds. A host name is resolved at once, blocking: it is for a server's set-up. Throws a
   * `SystemError` (`EADDRINUSE` …) where the kernel refuses.
   */
  bind(address: Address): void {
    if (this.closed) openSocket(this, 'bind');
    const { kernel } = this.socketMap[registry];
    const { family, packed } = packAddress(address, kernel);
    const isOurs = this[socketOf] === undefined;
    if (isOurs) giveSocket(this, Socket.createOn(kernel, family));
    const socket = openSocket(this, 'bind');
    try {
      for (const option of this.#pendingOptions) {
        socket.setsockopt(constants.SOL_SOCKET, option, true);
      }
      socket.bind(unpackAddress(packed));
    } catch (error) {
      // Another address may be of another family.
      if (isOurs) dropSocket(this);
      throw error;
    }
  }

  /**
   * Listens, and accepts from now on. `backlog` is how many connections may wait to be accepted;
   * the kernel caps it at net.core.somaxconn, and lets one more wait than it says.
   */
  listen(backlog: number): void {
    checkInteger('backlog', backlog);
    this.#checkLimits();
    openSocket(this, 'listen').listen(backlog);
    this[state] |= State.open | State.listening;
    this.socketMap[registry].changed(this);
    this.setReadable(true);
  }

  /** A connection was accepted. The socket is the handler's; one that it does not keep, it closes. */
  handleAccept(socket: Socket, _address: SocketAddress): Handled {
    socket.close();
  }

  /**
   * Accepting failed, or watching for connections. Out of descriptors or memory (`EMFILE`,
   * `ENFILE`, `ENOBUFS`, `ENOMEM`, `ENOSPC`) the connections wait in the backlog, and it is tried
   * again by itself.
   */
  handleAcceptError(_error: SystemError): Handled {}

  /** Accepts what waits. Not to be overridden; `handleAccept` is. */
  override handleRead(): Handled {
    try {
      this.#checkLimits();
    } catch (error) {
      // Not to be told in every turn.
      this.#restAWhile();
      throw error;
    }
    const { turn } = this.socketMap[registry];
    // A lone connection costs no second accept(2) that only says that there is none. A listener
    // that is ready turn after turn is busy, and takes more at a time.
    this.#burst = turn === this.#lastTurn + 1 ? Math.min(2 * this.#burst, this.acceptsPerTurn) : 1;
    this.#lastTurn = turn;
    for (let i = 0; i < this.#burst && this.#isAccepting && this.#hasRoom; i++) {
      if (!this.#acceptOne()) break;
    }
    if (!this.#hasRoom) this.#park();
  }

  /** @internal */
  override [release](): void {
    this.#rest?.cancel();
  }

  /** @internal Out of memory or of watches (epoll_ctl(2)), it is tried again too. */
  override [unwatched](error: SystemError): void {
    this[failure] = undefined;
    try {
      this.#restAfter(error);
    } catch (thrown) {
      this.socketMap[registry].report(this, thrown);
    }
  }

  #setOption(option: number): void {
    if (this.closed) openSocket(this, 'setsockopt');
    const socket = this[socketOf];
    if (socket === undefined) this.#pendingOptions.push(option);
    else socket.setsockopt(constants.SOL_SOCKET, option, true);
  }

  /** False: there is no more to accept now. */
  #acceptOne(): boolean {
    let accepted;
    try {
      accepted = openSocket(this, 'accept').accept();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      // accept(2): the peer has gone while it waited.
      if (error.errno === Errno.connectionAborted) return true;
      this.#restAfter(error);
      return false;
    }
    if (accepted === undefined) return false;
    this.#restSeconds = FIRST_REST_SECONDS;
    const { socket, address } = accepted;
    if (this.maxConnections < Infinity) {
      this.#count++;
      socket[whenGone] = this.#gone;
    }
    // Nobody else knows of the socket, unless a handler took it before the error: any map's.
    const abandon = (): void => {
      if (unclaimed.has(socket)) socket.close();
    };
    unclaimed.add(socket);
    try {
      const result = this.handleAccept(socket, address);
      this.socketMap[registry].settle(this, result);
      if (result !== undefined) Promise.resolve(result).catch(abandon);
    } catch (error) {
      abandon();
      throw error;
    }
    return true;
  }

  /** Any of the connections may have been made the last. */
  get #isAccepting(): boolean {
    const { member, readable, closed } = State;
    return (this[state] & (member | readable | closed)) === (member | readable);
  }

  get #hasRoom(): boolean {
    return this.#count < this.maxConnections;
  }

  #checkLimits(): void {
    checkMaxConnections(this.maxConnections);
    checkInteger('acceptsPerTurn', this.acceptsPerTurn, 1);
  }

  #restAfter(error: SystemError): void {
    this.#restAWhile();
    this.socketMap[registry].settle(this, this.handleAcceptError(error));
  }

  #restAWhile(): void {
    this.#park();
    this.#rest?.cancel();
    this.#rest = this.socketMap.callIn(this.#restSeconds, () => {
      this.#goOn();
    });
    this.#restSeconds = Math.min(2 * this.#restSeconds, LAST_REST_SECONDS);
  }

  /** The connections stay in the backlog meanwhile, and the listener is not woken for them. */
  #park(): void {
    this[state] |= State.parked;
    this.socketMap[registry].changed(this);
  }

  /** Accepts again, unless there is another reason to rest. */
  #goOn(): void {
    if (!(this[state] & State.parked) || this.#rest?.pending === true || !this.#hasRoom) return;
    this[state] &= ~State.parked;
    this.socketMap[registry].changed(this);
  }
}

function checkMaxConnections(count: unknown): void {
  if (typeof count !== 'number') throw typeError('maxConnections', count, 'a number');
  if (count === Infinity || (Number.isInteger(count) && count > 0)) return;
  throw rangeError('maxConnections', count, 'an integer, 1 or more, or Infinity');
}
