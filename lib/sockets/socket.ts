/** A socket: a descriptor and its system calls. */
import util from 'node:util';

import { bytesOf, checkInteger, checkRange, MAX_INT32, typeError } from '../system/arguments';
import { binding } from '../system/binding';
import { systemKernel } from '../system/system-kernel';
import { checked, SystemError } from '../system/errors';
import type { Kernel } from '../system/kernel';

import { inet4Address, packAddress, unpackAddress } from './address';
import type { Address, SocketAddress } from '../system/address-types';
import { constants, Errno, WOULD_BLOCK } from '../system/constants';
import { hasConnections, roleOf, type SocketRole } from './role';

const NOTHING = Buffer.alloc(0);

/** The key of what a socket calls once, when its descriptor is closed or given away. */
export const whenGone: unique symbol = Symbol('whenGone');

/**
 * What a handler knows of its socket. Whatever has this surface (a TLS socket, a simulated one) can
 * stand in a `Socket`'s place.
 */
export type SocketSurface = Omit<Socket, 'kernel' | typeof whenGone | typeof util.inspect.custom>;

/** A connection that was accepted, and who it is from. */
export interface Accepted {
  readonly socket: Socket;
  readonly address: SocketAddress;
}

/**
 * An OS socket: thin over its descriptor, which is non-blocking and close-on-exec. Would-block is a
 * value (`WOULD_BLOCK`), never an exception; every other failure throws a `SystemError`. On a
 * closed socket every call but `close` and `fileno` throws `EBADF`.
 */
export class Socket {
  /** @internal Whose descriptor it is. */
  declare kernel: Kernel;
  /** @internal */
  declare [whenGone]: (() => void) | undefined;
  #fd: number;
  #role: SocketRole;

  static {
    // On the prototype, where they cost a connection no memory.
    this.prototype.kernel = systemKernel;
    this.prototype[whenGone] = undefined;
  }

  private constructor(fd: number, role: SocketRole) {
    this.#fd = fd;
    this.#role = role;
  }

  /** socket(2). `family` and `type` are numbers of `constants`: `AF_INET`, `SOCK_STREAM`. */
  static create(
    family: number = constants.AF_INET,
    type: number = constants.SOCK_STREAM,
    protocol = 0,
  ): Socket {
    return Socket.createOn(systemKernel, family, type, protocol);
  }

  /** @internal */
  static createOn(
    kernel: Kernel,
    family: number,
    type: number = constants.SOCK_STREAM,
    protocol = 0,
  ): Socket {
    checkInteger('family', family);
    checkInteger('type', type);
    checkInteger('protocol', protocol);
    const fd = checked('socket', kernel.socket(family, type, protocol));
    return Socket.#of(kernel, fd, hasConnections(type) ? 'unconnected' : 'connected');
  }

  /**
   * Takes over a descriptor that was made elsewhere (inherited from a service manager, say): makes
   * it non-blocking and close-on-exec, and from now on owns it. Throws `EBADF` where it is not open.
   */
  static fromFd(fd: number): Socket {
    checkInteger('fd', fd);
    checked('fcntl', binding.adopt(fd));
    return new Socket(fd, roleOf(fd));
  }

  /** socketpair(2): two connected sockets, `AF_UNIX` and `SOCK_STREAM` unless told otherwise. */
  static pair(
    family: number = constants.AF_UNIX,
    type: number = constants.SOCK_STREAM,
  ): [Socket, Socket] {
    return Socket.pairOn(systemKernel, family, type);
  }

  /** @internal */
  static pairOn(
    kernel: Kernel,
    family: number = constants.AF_UNIX,
    type: number = constants.SOCK_STREAM,
  ): [Socket, Socket] {
    checkInteger('family', family);
    checkInteger('type', type);
    const pair = new Int32Array(2);
    checked('socketpair', kernel.socketpair(family, type, pair));
    const [first = -1, second = -1] = pair;
    return [Socket.#of(kernel, first, 'connected'), Socket.#of(kernel, second, 'connected')];
  }

  static #of(kernel: Kernel, fd: number, role: SocketRole): Socket {
    const socket = new Socket(fd, role);
    if (kernel !== systemKernel) socket.kernel = kernel;
    return socket;
  }

  /** The descriptor's number; -1 once closed or detached. */
  fileno(): number {
    return this.#fd;
  }

  /** What it is for. */
  get role(): SocketRole {
    return this.#role;
  }

  /** Whether the descriptor is gone. */
  get closed(): boolean {
    return this.#fd < 0;
  }

  /** close(2). Closing again does nothing. */
  close(): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    this.kernel.close(fd);
    this[whenGone]?.();
  }

  /** Gives the descriptor away without closing it, and returns it. Python's `detach`. */
  detach(): number {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd < 0) return fd;
    this.kernel.disown(fd);
    this[whenGone]?.();
    return fd;
  }

  /** bind(2). Host names are resolved at once, blocking: it is for a server's set-up. */
  bind(address: Address): void {
    const { packed } = packAddress(address, this.kernel);
    checked('bind', this.kernel.bind(this.#fd, packed), unpackAddress(packed));
  }

  /** listen(2). The kernel caps `backlog` at net.core.somaxconn. */
  listen(backlog: number): void {
    checkInteger('backlog', backlog);
    checked('listen', this.kernel.listen(this.#fd, backlog));
    this.#role = 'listening';
  }

  /** accept4(2): the next connection, or undefined where it would block. */
  accept(): Accepted | undefined {
    const fd = this.kernel.accept(this.#fd, peer);
    if (fd === WOULD_BLOCK) return undefined;
    checked('accept', fd);
    // Making the object is a good part of what accepting costs, and costs less on this side.
    const [family = 0, host = 0, port = 0] = peer;
    const address =
      family === constants.AF_INET ? inet4Address(host, port) : this.kernel.acceptedAddress();
    return { socket: Socket.#of(this.kernel, fd, 'connected'), address };
  }

  /**
   * connect(2). Returns true where the connection stands already, false where it is on its way:
   * the socket turns writable then, and `SO_ERROR` tells what became of it. A host name is resolved
   * at once, blocking; `IOHandler.connect` resolves it off the loop.
   */
  connect(address: Address): boolean {
    const { packed } = packAddress(address, this.kernel);
    const result = this.kernel.connect(this.#fd, packed);
    // connect(2): an interrupted attempt goes on, as one in progress does.
    const isOnItsWay = result === Errno.inProgress || result === Errno.interrupted;
    if (!isOnItsWay) checked('connect', result, unpackAddress(packed));
    this.#role = 'connected';
    return !isOnItsWay;
  }

  /**
   * recv(2) of at most `n` bytes, for the caller to keep. Empty at the end of the stream, undefined
   * where there are none yet. As with Node's pooled buffers, the memory holds other bytes too.
   */
  recv(n: number, flags = 0): Buffer | undefined {
    checkInteger('n', n);
    if (flags !== 0) checkInteger('flags', flags);
    const result = this.kernel.read(this.#fd, n, flags);
    if (typeof result !== 'number') return result;
    if (result === 0) return NOTHING;
    if (result === WOULD_BLOCK) return undefined;
    throw new SystemError('recv', result);
  }

  /**
   * recv(2) into `buffer`. Returns how many bytes came, 0 at the end of the stream, `WOULD_BLOCK`
   * where there are none yet.
   */
  recvInto(buffer: Uint8Array, offset = 0, length = rest(buffer, offset), flags = 0): number {
    checkRange(buffer, offset, length);
    if (flags !== 0) checkInteger('flags', flags);
    const count = this.kernel.recv(this.#fd, buffer, offset, length, flags);
    if (count < 0 && count !== WOULD_BLOCK) throw new SystemError('recv', count);
    return count;
  }

  /** send(2). Returns how many bytes the kernel took, or `WOULD_BLOCK`. Never raises SIGPIPE. */
  send(buffer: Uint8Array, offset = 0, length = rest(buffer, offset), flags = 0): number {
    checkRange(buffer, offset, length);
    if (flags !== 0) checkInteger('flags', flags);
    const count = this.kernel.send(this.#fd, buffer, offset, length, flags);
    if (count < 0 && count !== WOULD_BLOCK) throw new SystemError('send', count);
    return count;
  }

  /** sendmsg(2) of several buffers as one, beginning `offset` bytes into the first. */
  sendMany(buffers: readonly Uint8Array[], offset = 0): number {
    checkBuffers(buffers);
    checkInteger('offset', offset, 0, buffers[0]?.byteLength ?? 0);
    const count = this.kernel.sendMany(this.#fd, buffers, offset);
    if (count < 0 && count !== WOULD_BLOCK) throw new SystemError('sendmsg', count);
    return count;
  }

  /**
   * Whether bytes lie unread (above 0), the stream has ended (0), or neither (`WOULD_BLOCK`).
   * Throws the error that ended the stream, which the kernel tells once. Takes no bytes away.
   */
  unread(): number {
    const count = this.kernel.unread(this.#fd);
    if (count < 0 && count !== WOULD_BLOCK) throw new SystemError('recv', count);
    return count;
  }

  /**
   * How many bytes that were sent the kernel still keeps: a TCP peer has not acknowledged them, a
   * Unix one not read them (`SIOCOUTQ`: tcp(7), unix(7)).
   */
  unacknowledged(): number {
    return checked('ioctl', this.kernel.unacknowledged(this.#fd));
  }

  /** shutdown(2). `how` is `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR` of `constants`. */
  shutdown(how: number): void {
    checkInteger('how', how, constants.SHUT_RD, constants.SHUT_RDWR);
    checked('shutdown', this.kernel.shutdown(this.#fd, how));
  }

  /** getsockname(2): the address that this end has. */
  getsockname(): SocketAddress {
    return named('getsockname', this.kernel.getsockname(this.#fd));
  }

  /** getpeername(2): the address that the other end has. Throws `ENOTCONN` where there is none. */
  getpeername(): SocketAddress {
    return named('getpeername', this.kernel.getpeername(this.#fd));
  }

  /** getsockopt(2): an integer option's value; with `length`, that many bytes of any option. */
  getsockopt(level: number, option: number): number;
  getsockopt(level: number, option: number, length: number): Buffer;
  getsockopt(level: number, option: number, length?: number): number | Buffer {
    checkInteger('level', level);
    checkInteger('option', option);
    if (length !== undefined) checkInteger('length', length, 1, 1024);
    const value = Buffer.alloc(length ?? 4);
    const written = checked('getsockopt', this.kernel.getsockopt(this.#fd, level, option, value));
    return length === undefined
      ? (new Int32Array(value.buffer, value.byteOffset, 1)[0] ?? 0)
      : value.subarray(0, written);
  }

  /** setsockopt(2): a number or boolean for an integer option, bytes for any other. */
  setsockopt(level: number, option: number, value: number | boolean | Uint8Array): void {
    checkInteger('level', level);
    checkInteger('option', option);
    checked('setsockopt', this.kernel.setsockopt(this.#fd, level, option, optionBytes(value)));
  }

  /** For `util.inspect`: `Socket (descriptor 23, connected)`. */
  [util.inspect.custom](): string {
    const facts = this.closed ? 'closed' : `descriptor ${this.#fd}, ${this.#role}`;
    return `${this.constructor.name} (${facts})`;
  }
}

/** Where `accept` puts the family, host and port of who it is from. */
const peer = new Int32Array(3);

/** socketpair(2): two connected sockets. */
export function socketpair(): [Socket, Socket] {
  return Socket.pair();
}

function checkBuffers(buffers: unknown): void {
  const isArray = Array.isArray(buffers);
  if (isArray && buffers.every((buffer) => buffer instanceof Uint8Array)) return;
  throw typeError('buffers', buffers, 'an array of Uint8Arrays');
}

function optionBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return bytesOf('value', value);
  if (typeof value === 'boolean') return new Uint8Array(Int32Array.of(Number(value)).buffer);
  if (typeof value !== 'number') throw typeError('value', value, 'a number, a boolean or bytes');
  checkInteger('value', value, -MAX_INT32 - 1);
  return new Uint8Array(Int32Array.of(value).buffer);
}

function named(syscall: string, result: SocketAddress | number): SocketAddress {
  if (typeof result === 'number') throw new SystemError(syscall, result);
  return result;
}

function rest(buffer: unknown, offset: unknown): number {
  return buffer instanceof Uint8Array && typeof offset === 'number' ? buffer.length - offset : 0;
}
