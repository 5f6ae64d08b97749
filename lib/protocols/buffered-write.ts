/** BufferedWriteHandler: sends all that it is given. */
import { IOHandler } from '../handlers/io-handler';
import { type Handled, transportOf } from '../handlers/handler';
import type { Data } from '../system/arguments';

/**
 * Sends all that it is given, and buffers what the kernel does not take at once. asynchia's
 * `BufferedWriteHandler`.
 */
export class BufferedWriteHandler extends IOHandler {
  /**
   * Above so many buffered bytes, `sendAll` returns false. 64 KiB unless it is set. Nothing is
   * refused above it: the handler stops sending until `handleDrain`. `sendAll` throws where it is no
   * number of bytes, 0 or more.
   */
  declare highWaterMark: number;

  static {
    this.prototype.highWaterMark = 64 * 1024;
  }

  /** How many bytes wait to be sent. */
  get bufferedAmount(): number {
    return this[transportOf].bufferedAmount;
  }

  /**
   * Sends all of `data`, now or as the socket takes it; before `connect` has succeeded, as soon as
   * it has. What has to wait is copied, so that the caller may use its memory again. Within a
   * callback, small pieces leave together when the callback returns.
   *
   * Returns false where more than `highWaterMark` bytes are buffered now: wait for `handleDrain`.
   * Where the connection breaks, `handleClose` comes instead, to a paused handler too, and what lies
   * unread can be read there.
   * Throws on a closed handler, after `end`, and after `shutdown` of the writing side.
   */
  sendAll(data: Data): boolean {
    return this[transportOf].sendAll(data, undefined, this.highWaterMark);
  }

  /**
   * Sends all, then closes: the peer gets everything, `handleCleanup` is called, and what the peer
   * still sends is discarded. The peer has five seconds to end its own side, and as long again
   * whenever it has taken more of what was sent. Ending again does nothing; `data` that can no
   * longer be sent throws.
   */
  end(data?: Data): void {
    if (data !== undefined) this.sendAll(data);
    this[transportOf].end();
  }

  /** Sends what is buffered. Not to be overridden; `handleDrain` is. */
  override handleWrite(): Handled {
    this[transportOf].sendBuffered();
  }
}
