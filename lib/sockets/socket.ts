/** A socket: a descriptor and its system calls. */
import util from 'node:util';

import {
  bytesOf,
  checkInteger,
  checkRange,
  MAX_INT32,
  typeError,
  viewOf,
} from '../system/arguments';
import { binding } from '../system/binding';
import { systemKernel } from '../system/system-kernel';
import { checked, SystemError } from '../system/errors';
import type { Kernel, SocketFile } from '../system/kernel';

import { inet4Address, packAddress, unpackAddress } from './address';
import type { Address, SocketAddress } from '../system/address-types';
import { constants, Errno, WOULD_BLOCK } from '../system/constants';
import { kernelOf } from './byte-streams';
import { hasConnections, roleOf, type SocketRole } from './role';

const NOTHING = Buffer.alloc(0);

/** The key of what a socket calls once, when its descriptor is closed or given away. */
export const whenGone: unique symbol = Symbol('whenGone');
/** The key of the file that a socket removes when it is closed. */
export const ownFile: unique symbol = Symbol('ownFile');
/** The key of the transport that has a socket. */
export const holderOf: unique symbol = Symbol('holderOf');

/** Who has a socket: a transport. */
export interface SocketHolder {
  /** Whether it is registered with a loop. */
  readonly isMember: boolean;
  /** The descriptor is about to be closed or given away. `fileno()` returns -1 already. */
  socketGone(socket: Socket): void;
}

/**
 * The methods of a `Socket` that a handler uses. An object of another class that has them (a TLS
 * socket, a test double) can be given to a handler in place of a `Socket`.
 */
export type SocketSurface = Omit<
  Socket,
  | 'kernel'
  | 'isBorrowed'
  | typeof whenGone
  | typeof ownFile
  | typeof holderOf
  | typeof util.inspect.custom
>;

/** A connection that `Socket.accept` has returned. */
export interface Accepted {
  /** The connection's socket. The caller owns it. */
  readonly socket: Socket;
  /** The address of the peer. */
  readonly address: SocketAddress;
}

/**
 * An operating system socket: a thin layer over its descriptor, which is non-blocking and
 * close-on-exec. A call that would block returns `WOULD_BLOCK`; every other failure throws a
 * `SystemError`. After `close` or `detach`, every system call throws `EBADF`.
 */
export class Socket {
  /** @internal Whose descriptor it is. */
  declare kernel: Kernel;
  /** @internal Whether its descriptor is another's, who closes it. */
  declare isBorrowed: boolean;
  /** @internal */
  declare [whenGone]: (() => void) | undefined;
  /** @internal */
  declare [ownFile]: SocketFile | undefined;
  /** @internal */
  [holderOf]: SocketHolder | undefined = undefined;
  #fd: number;
  #role: SocketRole;

  static {
    // On the prototype, where they cost a connection no memory.
    this.prototype.kernel = systemKernel;
    this.prototype.isBorrowed = false;
    this.prototype[whenGone] = undefined;
    this.prototype[ownFile] = undefined;
  }

  private constructor(fd: number, role: SocketRole) {
    this.#fd = fd;
    this.#role = role;
  }

  /**
   * Makes a socket. socket(2)
   *
   * @param family - `AF_INET` (the default), `AF_INET6` or `AF_UNIX` of `constants`.
   * @param type - `SOCK_STREAM` (the default), `SOCK_DGRAM` or `SOCK_SEQPACKET` of `constants`.
   * @param protocol - 0, the default, is the usual one for the type.
   * @returns The socket.
   * @throws `TypeError` or `RangeError` for an argument; `SystemError`: `EMFILE`, `EAFNOSUPPORT`.
   */
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
   * Takes over a descriptor that was made elsewhere (inherited from a service manager, for
   * example), a socket or another: a pipe, a terminal. Makes it non-blocking and close-on-exec, and
   * owns it from now on. O_NONBLOCK is restored as it was found when the descriptor is closed or
   * detached and when the thread ends, as others may share it; close-on-exec when it is detached.
   *
   * What is no socket receives and sends by read(2) and write(2). Calls that only sockets have
   * throw a `SystemError` (`ENOTSOCK`) that says what it is.
   *
   * @param fd - The descriptor, an integer from 0.
   * @returns Its socket, with the role that the kernel reports.
   * @throws `SystemError`: `EBADF` if it is not open.
   */
  static fromFd(fd: number): Socket {
    checkInteger('fd', fd);
    checked('fcntl', binding.adopt(fd));
    return Socket.#ofAny(fd);
  }

  /**
   * Uses a descriptor that stays another's (another library's, a standard stream): it can be watched
   * and used, and `close` leaves it open. Its flags are left alone, but for O_NONBLOCK when it
   * accepts, connects, or (no socket) reads or writes: that is restored as for `fromFd`.
   *
   * @param fd - The descriptor, an integer from 0.
   * @returns Its socket, with the role that the kernel reports.
   * @throws `SystemError`: `EBADF` if it is not open.
   */
  static borrow(fd: number): Socket {
    checkInteger('fd', fd);
    checked('fstat', binding.fileType(fd));
    const socket = Socket.#ofAny(fd);
    socket.isBorrowed = true;
    return socket;
  }

  /**
   * Makes two connected sockets. socketpair(2)
   *
   * @param family - `AF_UNIX` by default.
   * @param type - `SOCK_STREAM` by default.
   * @returns The two ends.
   * @throws `SystemError`: `EMFILE`, `ENOTSUP` for a family that has no pairs.
   */
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

  /** Decides once how its bytes are moved. */
  static #ofAny(fd: number): Socket {
    return Socket.#of(kernelOf(fd), fd, roleOf(fd));
  }

  /**
   * The descriptor's number.
   *
   * @returns The number; -1 after `close` or `detach`.
   */
  fileno(): number {
    return this.#fd;
  }

  /** What the socket is used for. */
  get role(): SocketRole {
    return this.#role;
  }

  /** Whether the descriptor is closed or detached. */
  get closed(): boolean {
    return this.#fd < 0;
  }

  /** Closes the descriptor, unless it is borrowed. close(2). A second call does nothing. */
  close(): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    this[holderOf]?.socketGone(this);
    if (this.isBorrowed) this.kernel.disown(fd);
    else {
      // First: while the socket is open, the number of its inode is no other file's.
      this[ownFile]?.remove();
      this.kernel.close(fd);
    }
    this[whenGone]?.();
  }

  /**
   * Gives the descriptor away without closing it: the caller has to close it. Python's `detach`.
   *
   * @returns The descriptor's number; -1 if it was closed or detached before.
   */
  detach(): number {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd < 0) return fd;
    this[holderOf]?.socketGone(this);
    this.kernel.disown(fd);
    this[whenGone]?.();
    return fd;
  }

  /**
   * Binds the socket to an address. bind(2). A host name is resolved at once and blocks the thread.
   * The file of a Unix path stays when the socket is closed; an `AcceptHandler` removes what its own
   * `bind` has made.
   *
   * @throws `TypeError` or `RangeError` for the address; `SystemError`: `EADDRINUSE`, `EACCES`,
   * `EADDRNOTAVAIL`, `EINVAL` if it is bound already, `ENOTFOUND` for an unknown name.
   */
  bind(address: Address): void {
    const { packed } = packAddress(address, this.kernel);
    checked('bind', this.kernel.bind(this.#fd, packed), unpackAddress(packed));
  }

  /**
   * Starts listening. listen(2)
   *
   * @param backlog - How many connections may wait, an integer from 0; the kernel limits it to
   * net.core.somaxconn.
   * @throws `TypeError` or `RangeError` for `backlog`; `SystemError` if the kernel refuses it.
   */
  listen(backlog: number): void {
    checkInteger('backlog', backlog);
    checked('listen', this.kernel.listen(this.#fd, backlog));
    this.#role = 'listening';
  }

  /**
   * Accepts the next connection. accept4(2)
   *
   * @returns The connection; undefined if none waits.
   * @throws `SystemError`: `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`; `ECONNABORTED` if the peer has
   * left; `EINVAL` if the socket does not listen.
   */
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
   * Starts a connection. connect(2). A host name is resolved at once and blocks the thread;
   * `IOHandler.connect` resolves it without blocking.
   *
   * @returns true if the connection stands already. false if it is under way: the socket becomes
   * writable when it is decided, and the option `SO_ERROR` has the result.
   * @throws `TypeError` or `RangeError` for the address; `SystemError`: `EALREADY`, `EISCONN`,
   * `ENOENT`, `ECONNREFUSED`, `EAGAIN` (a Unix listener whose backlog is full), `ENOTFOUND`.
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
   * where there are none yet. As with Node's pooled buffers, the memory holds other bytes too. What
   * `MSG_TRUNC` discards reads as zeros.
   */
  recv(n: number, flags = 0): Buffer | undefined {
    checkInteger('n', n);
    if (flags !== 0) checkInteger('flags', flags);
    const result = this.kernel.read(this.#fd, n, flags);
    if (typeof result !== 'number') return result;
    if (result === 0) return NOTHING;
    if (result === WOULD_BLOCK) return undefined;
    throw this.#failed('recv', result);
  }

  /**
   * Receives into memory of the caller. recv(2); Python's `recv_into`.
   *
   * @param buffer - Where the bytes go: a `Buffer`, typed array or `DataView`.
   * @param offset - The first byte to write, from 0 to the buffer's length in bytes.
   * @param length - The most bytes to receive, below 2 GiB; the rest of the buffer if omitted.
   * @param flags - `MSG_*` of `constants`.
   * @returns How many bytes were received; 0 at the end of the stream, or if `length` is 0;
   * `WOULD_BLOCK` if there are none yet.
   * @throws `TypeError` or `RangeError` for an argument; `SystemError`: `ECONNRESET`, `ENOTCONN`.
   */
  recvInto(
    buffer: NodeJS.ArrayBufferView,
    offset = 0,
    length = rest(buffer, offset),
    flags = 0,
  ): number {
    const bytes = viewOf('buffer', buffer);
    checkRange(bytes, offset, length);
    if (flags !== 0) checkInteger('flags', flags);
    const count = this.kernel.recv(this.#fd, bytes, offset, length, flags);
    if (count < 0 && count !== WOULD_BLOCK) throw this.#failed('recv', count);
    return count;
  }

  /**
   * Sends a part of a buffer. send(2). Never raises SIGPIPE.
   *
   * @param buffer - The bytes: a `Buffer`, typed array or `DataView`.
   * @param offset - The first byte to send, from 0 to the buffer's length in bytes.
   * @param length - How many bytes to send, below 2 GiB; the rest of the buffer if omitted.
   * @param flags - `MSG_*` of `constants`.
   * @returns How many bytes the kernel took, which may be fewer; `WOULD_BLOCK` if it took none.
   * @throws `TypeError` or `RangeError` for an argument; `SystemError`: `EPIPE`, `ECONNRESET`.
   */
  send(
    buffer: NodeJS.ArrayBufferView,
    offset = 0,
    length = rest(buffer, offset),
    flags = 0,
  ): number {
    const bytes = viewOf('buffer', buffer);
    checkRange(bytes, offset, length);
    if (flags !== 0) checkInteger('flags', flags);
    const count = this.kernel.send(this.#fd, bytes, offset, length, flags);
    if (count < 0 && count !== WOULD_BLOCK) throw this.#failed('send', count);
    return count;
  }

  /**
   * Sends several buffers with one call. sendmsg(2). Never raises SIGPIPE.
   *
   * @param buffers - The bytes, in order; one call sends at most the first 64 buffers.
   * @param offset - The first byte to send of the first buffer, from 0 to its length.
   * @returns How many bytes the kernel took, over all buffers; `WOULD_BLOCK` if it took none.
   * @throws `TypeError` or `RangeError` for an argument; `SystemError`: `EPIPE`, `ECONNRESET`.
   */
  sendMany(buffers: readonly NodeJS.ArrayBufferView[], offset = 0): number {
    const views = viewsOf(buffers);
    checkInteger('offset', offset, 0, Math.min(views[0]?.byteLength ?? 0, MAX_INT32));
    const count = this.kernel.sendMany(this.#fd, views, offset);
    if (count < 0 && count !== WOULD_BLOCK) throw this.#failed('sendmsg', count);
    return count;
  }

  /**
   * Asks whether there is something to read, and leaves it unread (MSG_PEEK, recv(2)).
   *
   * @returns Above 0 if bytes are unread; 0 if the stream has ended; `WOULD_BLOCK` if neither.
   * @throws `SystemError`: the error that ended the stream. The kernel reports it only once.
   */
  unread(): number {
    const count = this.kernel.unread(this.#fd);
    if (count < 0 && count !== WOULD_BLOCK) throw this.#failed('recv', count);
    return count;
  }

  /**
   * How many bytes that were sent the kernel still keeps: not acknowledged by a TCP peer, not read
   * by a Unix one (SIOCOUTQ, tcp(7), unix(7)).
   *
   * @returns The number of bytes; 0 if none.
   * @throws `SystemError` if the descriptor has no such count.
   */
  unacknowledged(): number {
    return checked('ioctl', this.kernel.unacknowledged(this.#fd));
  }

  /**
   * Shuts down one side of the connection or both. shutdown(2)
   *
   * @param how - `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR` of `constants`.
   * @throws `TypeError` or `RangeError` for `how`; `SystemError`: `ENOTCONN` if there is no
   * connection.
   */
  shutdown(how: number): void {
    checkInteger('how', how, constants.SHUT_RD, constants.SHUT_RDWR);
    checked('shutdown', this.kernel.shutdown(this.#fd, how));
  }

  /**
   * The address of this end. getsockname(2)
   *
   * @returns The address; an unbound Unix socket has the path `''`, an unbound internet socket the
   * port 0.
   * @throws `SystemError`: `ENOTSOCK` for a descriptor that is no socket.
   */
  getsockname(): SocketAddress {
    return named('getsockname', this.kernel.getsockname(this.#fd));
  }

  /**
   * The address of the other end. getpeername(2)
   *
   * @returns The address; a peer without a name (a socketpair) has the path `''`.
   * @throws `SystemError`: `ENOTCONN` if there is no connection.
   */
  getpeername(): SocketAddress {
    return named('getpeername', this.kernel.getpeername(this.#fd));
  }

  /**
   * Reads an integer option. getsockopt(2), socket(7)
   *
   * @param level - `SOL_SOCKET`, `IPPROTO_TCP` and others of `constants`.
   * @param option - `SO_*`, `TCP_*` and others of `constants`.
   * @returns Its value.
   * @throws `SystemError`: `ENOPROTOOPT` or `ENOTSUP` for an option that the socket does not have.
   */
  getsockopt(level: number, option: number): number;
  /**
   * Reads an option of any type. getsockopt(2), socket(7)
   *
   * @param level - `SOL_SOCKET`, `IPPROTO_TCP` and others of `constants`.
   * @param option - `SO_*`, `TCP_*` and others of `constants`.
   * @param length - The size of its value in bytes, from 1 to 1024.
   * @returns The bytes of its value: the kernel may return fewer than `length`.
   * @throws `SystemError`: `ENOPROTOOPT` or `ENOTSUP` for an option that the socket does not have.
   */
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

  /**
   * Sets an option. setsockopt(2), socket(7)
   *
   * @param level - `SOL_SOCKET`, `IPPROTO_TCP` and others of `constants`.
   * @param option - `SO_*`, `TCP_*` and others of `constants`.
   * @param value - A 32-bit integer or a boolean for an integer option; bytes for any other.
   * @throws `TypeError` or `RangeError` for an argument; `SystemError`: `ENOPROTOOPT`, `ENOTSUP`,
   * `EINVAL`.
   */
  setsockopt(
    level: number,
    option: number,
    value: number | boolean | NodeJS.ArrayBufferView,
  ): void {
    checkInteger('level', level);
    checkInteger('option', option);
    checked('setsockopt', this.kernel.setsockopt(this.#fd, level, option, optionBytes(value)));
  }

  /** A transfer's failure, with the call that was made. */
  #failed(call: 'recv' | 'send' | 'sendmsg', errno: number): SystemError {
    return new SystemError(isNoSocket(this) ? (call === 'recv' ? 'read' : 'write') : call, errno);
  }

  /** For `util.inspect`: `Socket (descriptor 23, connected)`. */
  [util.inspect.custom](): string {
    const facts = this.closed ? 'closed' : `descriptor ${this.#fd}, ${this.#role}`;
    return `${this.constructor.name} (${facts})`;
  }
}

/** Whether its descriptor is no socket. */
export function isNoSocket(socket: unknown): boolean {
  return socket instanceof Socket && socket.kernel.whole !== undefined;
}

/** Where `accept` puts the family, host and port of who it is from. */
const peer = new Int32Array(3);

/**
 * Makes two connected `AF_UNIX` stream sockets. socketpair(2); asynchia's `util.socketpair`. See
 * `Socket.pair`.
 *
 * @returns The two ends.
 * @throws `SystemError`: `EMFILE` if there are no free descriptors.
 */
export function socketpair(): [Socket, Socket] {
  return Socket.pair();
}

function viewsOf(buffers: unknown): readonly Uint8Array[] {
  if (!Array.isArray(buffers) || !buffers.every((buffer) => ArrayBuffer.isView(buffer))) {
    throw typeError('buffers', buffers, 'an array of Buffers, typed arrays or DataViews');
  }
  const isPlain = buffers.every((buffer) => buffer instanceof Uint8Array);
  return isPlain ? buffers : buffers.map((buffer) => viewOf('buffers', buffer));
}

function optionBytes(value: unknown): Uint8Array {
  if (ArrayBuffer.isView(value)) {
    checkInteger('value.byteLength', value.byteLength);
    return bytesOf('value', value);
  }
  if (typeof value === 'boolean') return new Uint8Array(Int32Array.of(Number(value)).buffer);
  if (typeof value !== 'number') throw typeError('value', value, 'a number, a boolean or bytes');
  checkInteger('value', value, -MAX_INT32 - 1);
  return new Uint8Array(Int32Array.of(value).buffer);
}

function named(syscall: string, result: SocketAddress | number): SocketAddress {
  if (typeof result === 'number') throw new SystemError(syscall, result);
  return result;
}

/** What one call can transfer of the bytes behind `offset`: the rest comes with the next. */
function rest(buffer: unknown, offset: unknown): number {
  if (typeof offset !== 'number') return 0;
  if (buffer instanceof Uint8Array) return Math.min(buffer.length - offset, MAX_INT32);
  return ArrayBuffer.isView(buffer) ? Math.min(buffer.byteLength - offset, MAX_INT32) : 0;
}
