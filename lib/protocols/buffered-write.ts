/** BufferedWriteHandler: sends all that it is given. */
import { IOHandler } from '../handlers/io-handler';
import { type Handled, transportOf } from '../handlers/handler';
import type { Data } from '../system/arguments';

/**
 * Sends everything it is given, and buffers what the kernel does not take at once. asynchia's
 * `BufferedWriteHandler`.
 */
export class BufferedWriteHandler extends IOHandler {
  /**
   * How many bytes may be buffered before `sendAll` returns false: a number, 0 or more; 64 KiB by
   * default. Nothing is refused above it. `sendAll` throws a `RangeError` if it is invalid.
   */
  declare highWaterMark: number;

  static {
    this.prototype.highWaterMark = 64 * 1024;
  }

  /** How many bytes are buffered and wait to be sent; 0 on a closed handler. */
  get bufferedAmount(): number {
    return this[transportOf].bufferedAmount;
  }

  /**
   * Sends all of `data`: now, or as the socket takes it; before `handleConnect`, as soon as the
   * connection stands. What has to wait is copied. Small pieces sent within a callback leave
   * together when it returns. asynchia's `sendall`.
   *
   * @param data - A string (sent as UTF-8) or bytes.
   * @returns true if at most `highWaterMark` bytes are buffered now. false: send no more until
   * `handleDrain`; or a transfer has failed and `data` is dropped: `handleClose` follows instead,
   * also while reading is paused.
   * @throws `TypeError` for `data`; `RangeError` for `highWaterMark`; `Error` with the code
   * `ERR_CLOSED`, or `ERR_WRITE_AFTER_END` after `end` or `shutdown` of the writing side.
   */
  sendAll(data: Data): boolean {
    return this[transportOf].sendAll(data, undefined, this.highWaterMark);
  }

  /**
   * Sends everything, then closes: shuts down the writing side, waits for the peer to end its own,
   * and calls `handleCleanup`. What the peer sends meanwhile is discarded. It has 5 seconds to end,
   * and 5 more whenever it has taken more of the output. `handleClose` is called only if the
   * connection breaks before everything is sent. A second call does nothing.
   *
   * @param data - Sent before the end, as by `sendAll`.
   * @throws The same as `sendAll`, only if `data` is given.
   */
  end(data?: Data): void {
    if (data !== undefined) this.sendAll(data);
    this[transportOf].end();
  }

  /** Sends buffered output. Override `handleDrain`, not this. */
  override handleWrite(): Handled {
    this[transportOf].sendBuffered();
  }
}
