/** IOHandler: a handler that connects, receives and sends. */
import type { Data } from '../arguments';
import { bytesOf, checkInteger } from '../arguments';
import { endingError, lookupError, SocketMapClosedError, SystemError } from '../errors';
import { familyOf, parseAddress, resolvedAddress, unpackAddress } from '../sockets/address';
import type { Address, SocketAddress } from '../sockets/address-types';
import { constants, Errno, WOULD_BLOCK } from '../sockets/constants';
import type { LookupResult } from '../sockets/lookups';
import { slab } from '../sockets/slab';
import { Socket, type SocketSurface } from '../sockets/socket';

import { type Handled, Handler } from './handler';
import {
  entered,
  failure,
  idleWatch,
  registry,
  release,
  settleConnect,
  socketOf,
  state,
  State,
} from './handler-state';
import { failTransfer } from './failed-transfers';
import { IdleWatch } from './idle-watch';
import { dropSocket, giveSocket, openSocket } from './life';

const NOTHING = Buffer.alloc(0);

/** What made the map stop watching, until something is read. */
const { connecting, ending, failed, hungUp, open, parked, readable, readShut, timed } = State;
const { urgentTold, writeEnded } = State;
const UNTIL_READ = parked | hungUp | urgentTold | failed;

/** Manages the I/O of one connection. asynchia's `IOHandler`. */
export class IOHandler extends Handler {
  /** Where `connect` has not yet been; undefined unless it is under way. */
  #candidates: SocketAddress[] | undefined = undefined;
  /** @internal */
  declare [idleWatch]: IdleWatch | undefined;
  /**
   * After so many seconds in which no byte was received or sent through the handler, `handleTimeout`
   * is called. 0, and so never, unless it is set: in a subclass or at any time, and counted anew
   * from then. A connection attempt counts as idle, from `connect` until it stands; so does a
   * handler that is paused, or whose peer does not read. Never early: monotonic, and rounded up.
   *
   * A class that declares it as a field (`idleTimeout = 30`) hides the accessor. What is set on its
   * instances later is heeded when bytes move next, or when the time set before has passed.
   */
  declare idleTimeout: number;

  static {
    // On the prototype, where a handler without a time-out pays nothing for it.
    this.prototype[idleWatch] = undefined;
    Object.defineProperty(this.prototype, 'idleTimeout', {
      configurable: true,
      get(this: IOHandler): number {
        return this[idleWatch]?.seconds ?? 0;
      },
      set(this: IOHandler, seconds: number) {
        const watch = this.#watchIdle();
        watch.set(seconds);
        if (this[state] & (open | connecting)) watch.begin();
      },
    });
  }

  /**
   * Connects. A host name is resolved without blocking the loop, and each of its addresses is tried
   * in turn. Success arrives at `handleConnect`; every failure of the network or of the look-up at
   * `handleConnectFailed`, never before this has returned. A malformed address throws.
   */
  connect(address: Address): void {
    if (this.closed) openSocket(this, 'connect');
    if (this[state] & ending) throw endingError('connect', this.constructor.name);
    if (this.socketMap.closed) throw new SocketMapClosedError('connect');
    const parsed = parseAddress(address);
    if (this[state] & connecting) throw new SystemError('connect', Errno.alreadyConnecting);
    if (this[state] & open) throw new SystemError('connect', Errno.isConnected);
    this[state] |= connecting;
    // Looking up a name is a part of it, and has no descriptor yet.
    this[entered]();
    if ('packed' in parsed) {
      this.#candidates = [unpackAddress(parsed.packed)];
      this.#attempt();
      return;
    }
    const { hostname, port } = parsed;
    try {
      this.socketMap[registry].resolve(hostname, (result) => {
        this.#resolved(hostname, port, result);
      });
    } catch (error) {
      this.#failConnect(error);
    }
  }

  /**
   * Receives at most `n` bytes. Returns what came, for the caller to keep; empty where nothing is
   * there. That the stream has ended, or broken, is told by `handleClose`. As with Node's pooled
   * buffers, the memory holds others' bytes too, and cannot be transferred to another thread.
   */
  recv(n: number, flags = 0): Buffer {
    return this.#receive('recv', n, flags);
  }

  /**
   * No byte has moved for `idleTimeout` seconds. Closes; a connection attempt fails with
   * `ETIMEDOUT`. What `sendAll` has buffered is dropped. Where an override leaves the handler open,
   * it is called again after as long again.
   */
  override handleTimeout(): Handled {
    if (!(this[state] & connecting)) {
      this.close();
      return;
    }
    const [address] = this.#candidates ?? [];
    // So that it does not succeed meanwhile.
    dropSocket(this);
    this.#failConnect(new SystemError('connect', Errno.timedOut, address));
  }

  /** `recv` without flags. */
  read(n: number): Buffer {
    return this.#receive('read', n, 0);
  }

  /** `recv` that leaves the bytes where they are, to be received again (`MSG_PEEK`). */
  peek(n: number): Buffer {
    return this.#receive('peek', n, constants.MSG_PEEK);
  }

  /** Receives into `buffer`, without allocating. Returns how many bytes came, 0 for none. */
  recvInto(buffer: Uint8Array, offset?: number, length?: number, flags = 0): number {
    return this.#receiveInto(openSocket(this, 'recvInto'), buffer, offset, length, flags);
  }

  /**
   * Sends. Returns how many bytes the kernel took: fewer than given, or 0, where it would block.
   * To a peer that is gone it returns 0, and `handleClose` is told the error.
   */
  send(data: Data, flags = 0): number {
    const socket = openSocket(this, 'send');
    const bytes = bytesOf('data', data);
    if (this[state] & writeEnded) throw new SystemError('send', Errno.brokenPipe);
    if (this[state] & failed || bytes.length === 0) return 0;
    try {
      const count = socket.send(bytes, 0, bytes.length, flags);
      if (count === WOULD_BLOCK) return 0;
      if (this[state] & timed) this[idleWatch]?.stir();
      return count;
    } catch (error) {
      failTransfer(this, error);
      return 0;
    }
  }

  /**
   * shutdown(2): `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR` of `constants`. Whoever shuts down reading is
   * not told of the peer's end any more.
   */
  shutdown(how: number): void {
    const socket = openSocket(this, 'shutdown');
    checkInteger('how', how, constants.SHUT_RD, constants.SHUT_RDWR);
    try {
      socket.shutdown(how);
    } catch (error) {
      // The connection broke meanwhile: that is told by handleClose.
      if (!(error instanceof SystemError && error.errno === Errno.notConnected)) throw error;
    }
    if (how !== constants.SHUT_WR) this[state] |= readShut;
    if (how !== constants.SHUT_RD) this[state] |= writeEnded;
    this.socketMap[registry].changed(this);
  }

  /** @internal */
  override [settleConnect](): SystemError | undefined {
    const [address, ...others] = this.#candidates ?? [];
    const error = this.#outcome(address);
    if (error === undefined) {
      this.#candidates = undefined;
      this[state] = (this[state] & ~connecting) | open;
      this[idleWatch]?.stir();
      this.socketMap[registry].changed(this);
      return undefined;
    }
    if (others.length === 0) {
      this[state] &= ~connecting;
      return error;
    }
    this.#candidates = others;
    dropSocket(this);
    this.#attempt();
    return undefined;
  }

  /** @internal */
  override [entered](): void {
    const mayChange = this.idleTimeout !== 0 || Object.hasOwn(this, 'idleTimeout');
    if (mayChange) this.#watchIdle().begin();
  }

  /** @internal */
  override [release](): void {
    this[idleWatch]?.stop();
  }

  /** What an attempt failed with. The kernel tells it once: maybe to a transfer that was tried. */
  #outcome(address: SocketAddress | undefined): SystemError | undefined {
    const told = this[failure];
    this[failure] = undefined;
    if (told !== undefined) {
      return address === undefined ? told : new SystemError('connect', told.errno, address);
    }
    const { SOL_SOCKET, SO_ERROR } = constants;
    try {
      const errno = openSocket(this, 'connect').getsockopt(SOL_SOCKET, SO_ERROR);
      return errno === 0 ? undefined : new SystemError('connect', -errno, address);
    } catch (error) {
      // Its descriptor is no socket any more.
      if (error instanceof SystemError) return error;
      throw error;
    }
  }

  #resolved(hostname: string, port: number, result: LookupResult): void {
    if (this.closed) return;
    if (typeof result === 'string') {
      this.#failConnect(lookupError(result, hostname));
    } else {
      const addresses = result.map((packed) => resolvedAddress(packed, port));
      this.#candidates = this.#own(addresses) ?? addresses;
      this.#attempt();
    }
  }

  /** A socket that was handed in, with options of its own, is not replaced: it gets one attempt. */
  #own(addresses: SocketAddress[]): SocketAddress[] | undefined {
    const socket = this[socketOf];
    if (socket === undefined) return undefined;
    const family = domainOf(socket);
    return [...addresses.filter((each) => familyOf(each) === family), ...addresses].slice(0, 1);
  }

  /** Tries the addresses that are left until one is on its way. */
  #attempt(): void {
    for (;;) {
      const [address, ...others] = this.#candidates ?? [];
      if (address === undefined) return;
      try {
        if (this[socketOf] === undefined) {
          giveSocket(this, Socket.createOn(this.socketMap[registry].kernel, familyOf(address)));
        }
        openSocket(this, 'connect').connect(address);
        // Also where it stands already (a Unix socket): handleConnect comes from the loop.
        this.socketMap[registry].changed(this);
        return;
      } catch (error) {
        dropSocket(this);
        if (others.length === 0) {
          this.#failConnect(error);
          return;
        }
        this.#candidates = others;
      }
    }
  }

  /** Leaves it to the loop to tell, so that `connect` has returned by then. */
  #failConnect(error: unknown): void {
    if (!(error instanceof SystemError)) throw error;
    this.#candidates = undefined;
    this[failure] = error;
    this.socketMap[registry].endLater(this);
  }

  #watchIdle(): IdleWatch {
    this[state] |= timed;
    return (this[idleWatch] ??= new IdleWatch(this));
  }

  #receive(method: string, n: number, flags: number): Buffer {
    checkInteger('n', n);
    const socket = openSocket(this, method);
    const room = slab.room(n);
    const count = this.#receiveInto(socket, slab.bytes, slab.offset, room, flags);
    // MSG_TRUNC makes the kernel tell more than it gave. recv(2)
    return count > 0 ? slab.take(Math.min(count, room)) : NOTHING;
  }

  #receiveInto(
    socket: SocketSurface,
    buffer: Uint8Array,
    offset: number | undefined,
    length: number | undefined,
    flags: number,
  ): number {
    let count: number;
    try {
      count = socket.recvInto(buffer, offset, length, flags);
    } catch (error) {
      failTransfer(this, error);
      return 0;
    }
    // One test for all that is rare.
    if ((this[state] & (readable | UNTIL_READ | timed)) !== readable) {
      const isRead = count !== 0 || (length ?? buffer.length - (offset ?? 0)) > 0;
      if (isRead && !(flags & constants.MSG_PEEK)) this.#received(count);
    }
    return count > 0 ? count : 0;
  }

  #received(count: number): void {
    if (this[state] & timed && count > 0) this[idleWatch]?.stir();
    if ((this[state] & (readable | UNTIL_READ)) === readable) return;
    // Read from, the descriptor has to be looked at afresh; but urgent data is still told.
    this[state] &= count > 0 ? ~(parked | hungUp | urgentTold) : ~(parked | hungUp);
    const inner = this.socketMap[registry];
    inner.changed(this);
    if (this[state] & failed) inner.endLater(this);
  }
}

/** socket(7); undefined where it is no socket, as connecting will tell. */
function domainOf(socket: SocketSurface): number | undefined {
  try {
    return socket.getsockopt(constants.SOL_SOCKET, constants.SO_DOMAIN);
  } catch {
    return undefined;
  }
}
