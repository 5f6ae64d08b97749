/** IOHandler: a handler that connects, receives and sends. */
import type { Address } from '../system/address-types';
import type { Data } from '../system/arguments';
import { constants } from '../system/constants';
import type { StreamTransport } from '../transport/stream';

import { type Handled, Handler, transportOf } from './handler';

/** Manages the I/O of one connection. asynchia's `IOHandler`. */
export class IOHandler extends Handler {
  /** @internal */
  declare readonly [transportOf]: StreamTransport;
  /**
   * After so many seconds in which no byte was received or sent through the handler, `handleTimeout`
   * is called. 0, and so never, unless it is set: in a subclass or at any time, and counted anew
   * from then. A connection attempt counts as idle, and so does a handler that is paused or whose
   * peer does not read. Never early: the clock is monotonic, and the time is rounded up.
   *
   * A class may declare it as a field (`idleTimeoutSeconds = 30`). What is set on its instances
   * later takes effect when bytes move next, or when the time that was set before has passed.
   */
  declare idleTimeoutSeconds: number;
  /**
   * The same as `idleTimeoutSeconds`.
   *
   * @deprecated It does not name its unit. Use `idleTimeoutSeconds`.
   */
  declare idleTimeout: number;

  static {
    // On the prototype, where a handler without a time-out pays nothing for it.
    Object.defineProperty(this.prototype, 'idleTimeoutSeconds', {
      configurable: true,
      get(this: IOHandler): number {
        return this[transportOf].idle?.seconds ?? 0;
      },
      set(this: IOHandler, seconds: number) {
        this[transportOf].setIdleTimeout(seconds);
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
   * Connects. A host name is resolved without blocking the loop, and each of its addresses is tried
   * in turn. Success arrives at `handleConnect`; every failure of the network or of the look-up at
   * `handleConnectFailed`, never before this has returned. A malformed address throws.
   */
  connect(address: Address): void {
    this[transportOf].connect(address);
  }

  /**
   * Receives at most `n` bytes. Returns what came, for the caller to keep; empty where nothing is
   * there. That the stream has ended, or broken, is told by `handleClose`. As with Node's pooled
   * buffers, the memory holds others' bytes too, and cannot be transferred to another thread.
   */
  recv(n: number, flags = 0): Buffer {
    return this[transportOf].read('recv', n, flags);
  }

  /** `recv` without flags. */
  read(n: number): Buffer {
    return this[transportOf].read('read', n, 0);
  }

  /** `recv` that leaves the bytes where they are, to be received again (`MSG_PEEK`). */
  peek(n: number): Buffer {
    return this[transportOf].read('peek', n, constants.MSG_PEEK);
  }

  /** Receives into `buffer`, without allocating. Returns how many bytes came, 0 for none. */
  recvInto(buffer: Uint8Array, offset?: number, length?: number, flags = 0): number {
    return this[transportOf].readInto(buffer, offset, length, flags);
  }

  /**
   * Sends. Returns how many bytes the kernel took: fewer than given, or 0, where it would block.
   * To a peer that is gone it returns 0, and `handleClose` is told the error.
   */
  send(data: Data, flags = 0): number {
    return this[transportOf].send(data, flags);
  }

  /**
   * shutdown(2): `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR` of `constants`. Whoever shuts down reading is
   * not told of the peer's end any more.
   */
  shutdown(how: number): void {
    this[transportOf].shutdown(how);
  }

  /**
   * No byte has moved for `idleTimeoutSeconds`. Closes; a connection attempt fails with `ETIMEDOUT`.
   * Buffered output is dropped. Where an override leaves the handler open, it is called again after
   * as long again.
   */
  override handleTimeout(): Handled {
    this[transportOf].timeOut();
  }
}
