/** IOHandler: a handler that connects, receives and sends. */
import type { Address } from '../system/address-types';
import type { Data } from '../system/arguments';
import { constants } from '../system/constants';
import { hasBytes, kindOf } from '../sockets/byte-streams';
import { isNoSocket, type SocketSurface } from '../sockets/socket';
import type { StreamTransport } from '../transport/stream';

import {
  type Handled,
  Handler,
  isPrototype,
  setOnPrototype,
  type SocketMap,
  transportOf,
} from './handler';

/** Manages the I/O of one connection: connects, receives and sends. asynchia's `IOHandler`. */
export class IOHandler extends Handler {
  /** @internal */
  declare readonly [transportOf]: StreamTransport;
  /**
   * After so many seconds without a byte received or sent through this handler, `handleTimeout` is
   * called. Finite, 0 or more; 0, the default, is no limit. Set it in a subclass or at any time:
   * the time counts from then. A connection attempt counts as idle from `connect` on; so does a
   * handler that is paused, or whose peer does not read. Never early.
   *
   * A class that declares it as a field (`idleTimeoutSeconds = 30`) hides the accessor: a later
   * change on an instance takes effect when bytes move next, or when the previous time has passed.
   *
   * @throws `TypeError` or `RangeError` when an invalid value is set; for a field it goes to
   * `handleError`.
   */
  declare idleTimeoutSeconds: number;
  /**
   * The old name of `idleTimeoutSeconds`.
   *
   * @deprecated Use `idleTimeoutSeconds`, which names its unit.
   */
  declare idleTimeout: number;

  static {
    // On the prototype, where a handler without a time-out pays nothing for it.
    Object.defineProperty(this.prototype, 'idleTimeoutSeconds', {
      configurable: true,
      get(this: IOHandler): number {
        return isPrototype(this) ? 0 : (this[transportOf].idle?.seconds ?? 0);
      },
      set(this: IOHandler, seconds: number) {
        if (isPrototype(this)) setOnPrototype(this, 'idleTimeoutSeconds', seconds);
        else this[transportOf].setIdleTimeout(seconds);
      },
    });
    Object.defineProperty(this.prototype, 'idleTimeout', {
      configurable: true,
      get(this: IOHandler): number {
        return this.idleTimeoutSeconds;
      },
      set(this: IOHandler, seconds: number) {
        this.idleTimeoutSeconds = seconds;
      },
    });
  }

  /**
   * Makes a handler of a map. See `Handler`.
   *
   * @param socketMap - The map that calls the handler.
   * @param sock - A socket, or what `Socket.fromFd` or `Socket.borrow` has made of a pipe, a FIFO,
   * a terminal or another character device.
   * @throws What the constructor of `Handler` throws; `TypeError` if the descriptor has no stream
   * of bytes: a regular file, an eventfd(2). A `Handler` watches those.
   */
  constructor(socketMap: SocketMap, sock?: SocketSurface) {
    if (isNoSocket(sock)) checkBytes(sock);
    super(socketMap, sock);
  }

  /**
   * Connects. A host name is resolved without blocking the loop, and its addresses are tried in
   * turn. Leads to `handleConnect`, or to `handleConnectFailed` for every failure of the network or
   * the look-up; neither is called before this returns. connect(2)
   *
   * @param address - A malformed address throws at once.
   * @throws `TypeError` or `RangeError` for the address; `SystemError`: `EALREADY` while an attempt
   * is under way, `EISCONN` if there is a connection; `Error` with the code `ERR_CLOSED` if the
   * handler is closed or about to close; `SocketMapClosedError`.
   */
  connect(address: Address): void {
    this[transportOf].connect(address);
  }

  /**
   * Receives. recv(2)
   *
   * @param n - The most bytes to receive, an integer from 0; one call returns at most 1 MiB.
   * @param flags - `MSG_*` of `constants`. What `MSG_TRUNC` discards (all bytes of a TCP stream,
   * tcp(7)) reads as zeros.
   * @returns The bytes, which are never overwritten later. Empty if nothing has arrived, the stream
   * has ended or the connection has failed; `handleClose` reports the last two. The memory is
   * shared with other reads, as in Node's pooled buffers: it cannot be transferred, to another
   * thread or by `buffer.transfer()`. (On Node 22 `ArrayBuffer.prototype.transfer.call` does it all
   * the same, and empties the other reads.)
   * @throws `TypeError` or `RangeError` for an argument; `Error` with the code `ERR_CLOSED` or
   * `ERR_NO_SOCKET`; `SystemError` (`ENOTCONN`) if it was never connected.
   */
  recv(n: number, flags = 0): Buffer {
    return this[transportOf].read('recv', n, flags);
  }

  /**
   * Receives without flags: the same as `recv(n)`. asynchia's `read`.
   *
   * @param n - The most bytes to receive, an integer from 0; one call returns at most 1 MiB.
   * @returns The bytes; empty if there are none. See `recv`.
   * @throws The same as `recv`.
   */
  read(n: number): Buffer {
    return this[transportOf].read('read', n, 0);
  }

  /**
   * Receives and leaves the bytes unread: the next read returns them again (MSG_PEEK, recv(2)).
   *
   * @param n - The most bytes to return, an integer from 0; one call returns at most 1 MiB.
   * @returns The bytes; empty if there are none. See `recv`.
   * @throws The same as `recv`.
   */
  peek(n: number): Buffer {
    return this[transportOf].read('peek', n, constants.MSG_PEEK);
  }

  /**
   * Receives into memory of the caller, without an allocation. Python's `recv_into`.
   *
   * @param buffer - Where the bytes go: a `Buffer`, typed array or `DataView`.
   * @param offset - The first byte to write, from 0 to the buffer's length in bytes; 0 if omitted.
   * @param length - The most bytes to receive, below 2 GiB; the rest of the buffer if omitted.
   * @param flags - `MSG_*` of `constants`.
   * @returns How many bytes were received. 0 if nothing has arrived, the stream has ended or the
   * connection has failed (`handleClose` reports the last two), or if `length` is 0.
   * @throws The same as `recv`.
   */
  recvInto(buffer: NodeJS.ArrayBufferView, offset?: number, length?: number, flags = 0): number {
    return this[transportOf].readInto(buffer, offset, length, flags);
  }

  /**
   * Sends at once, as much as the kernel takes, but never ahead of what `sendAll` of a
   * `BufferedWriteHandler` has buffered. Never raises SIGPIPE. send(2)
   *
   * @param data - A string (sent as UTF-8) or bytes.
   * @param flags - `MSG_*` of `constants`.
   * @returns How many bytes the kernel took, which may be fewer than given. 0 in five cases: the
   * call would block (wait for `handleWrite`, also while connecting); the peer is gone
   * (`handleClose` follows with the error, once unread bytes are read); an earlier transfer has
   * failed; `data` is empty; output that `sendAll` has buffered still waits.
   * @throws `TypeError` for `data`; `Error` with the code `ERR_CLOSED` or `ERR_NO_SOCKET`;
   * `SystemError`: `EPIPE` after `shutdown` of the writing side, `ENOTCONN` if it was never
   * connected.
   */
  send(data: Data, flags = 0): number {
    return this[transportOf].send(data, flags);
  }

  /**
   * Shuts down one side of the connection or both. shutdown(2). After `SHUT_WR` the peer sees the
   * end of the stream, and `send` throws. After `SHUT_RD` the end of the peer's stream is not
   * reported any more. When both sides are over, by the peer's end or by this call,
   * `handleClose` and `handleCleanup` follow. If the connection broke in the meantime, nothing is thrown: `handleClose`
   * follows.
   *
   * @param how - `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR` of `constants`.
   * @throws `TypeError` or `RangeError` for `how`; `Error` with the code `ERR_CLOSED` or
   * `ERR_NO_SOCKET`.
   */
  shutdown(how: number): void {
    this[transportOf].shutdown(how);
  }

  /**
   * Called when no byte has moved for `idleTimeoutSeconds`. Closes the handler, and drops its
   * buffered output; a connection attempt leads to `handleConnectFailed` with `ETIMEDOUT`. If an
   * override leaves the handler open, this is called again after the same time.
   */
  override handleTimeout(): Handled {
    this[transportOf].timeOut();
  }
}

/** Throws where a descriptor that is no socket has no stream of bytes either. */
function checkBytes(sock: SocketSurface | undefined): void {
  const fd = sock?.fileno() ?? -1;
  const kind = kindOf(fd);
  if (fd < 0 || hasBytes(kind)) return;
  throw Object.assign(
    new TypeError(
      `sock must be a socket, a pipe, a terminal or another character device; descriptor ${fd} ` +
        `is a ${kind}: watch it with a Handler, and read it by means of its own`,
    ),
    { code: 'ERR_INVALID_ARG_TYPE' },
  );
}
