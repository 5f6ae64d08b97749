/** LineHandler: receives and sends lines. */
import type { Data } from '../system/arguments';
import { type Handled, transportOf } from '../handlers/handler';

import { BufferedWriteHandler } from './buffered-write';
import { LineReader } from './line-reader';

const CHUNK_BYTES = 64 * 1024;

/**
 * Splits received bytes into lines and calls `lineReceived` for each. asynchia's `LineHandler`.
 * It reads from the start; after `setReadable(false)`, lines wait.
 */
export class LineHandler extends BufferedWriteHandler {
  /**
   * What ends a line: a string or bytes, not empty; `'\n'` by default. An invalid value goes to
   * `handleError` when the next line is looked for, and the handler is closed; `sendLine` throws.
   */
  declare delimiter: string | Uint8Array;
  /**
   * The most bytes of a line, without its delimiter: a number, 0 or more; 64 KiB by default;
   * `Infinity` is no limit. A longer line, or an invalid value, goes to `handleError` as a
   * `RangeError` (`ERR_LINE_TOO_LONG` for a line), and the handler is closed.
   */
  declare maxLineLength: number;

  readonly #lines = new LineReader(this, this[transportOf]);

  static {
    this.prototype.delimiter = '\n';
    this.prototype.maxLineLength = 64 * 1024;
  }

  /**
   * Called for each complete line. asynchia's `line_received`. If it pauses, ends, closes or
   * deregisters the handler, the next line waits or is dropped. What it throws goes to
   * `handleError`; unless that closes the handler, as it does by default, the next line follows.
   *
   * @param _line - The line, without its delimiter; never overwritten. It shares the memory of its
   * read (128 KiB): copy it (`Buffer.from(line)`) to keep it for long.
   */
  lineReceived(_line: Buffer): Handled {}

  /**
   * Sends a line and its delimiter. asynchia's `send_line`.
   *
   * @param line - The line, without its delimiter.
   * @returns The same as `sendAll`.
   * @throws The same as `sendAll`; `TypeError` or `RangeError` for an invalid `delimiter`.
   */
  sendLine(line: Data): boolean {
    const delimiter = this.#lines.delimiterBytes();
    return this[transportOf].sendAll(line, delimiter, this.highWaterMark);
  }

  /**
   * The bytes after the last line that was delivered: the beginning of the next one. Empty if there
   * are none. Copy them to keep them: the memory is the handler's.
   */
  get remainder(): Buffer {
    return this.#lines.rest;
  }

  /** Reads, and delivers the lines. Override `lineReceived`, not this. */
  override handleRead(): Handled {
    this.#lines.receive(this.read(CHUNK_BYTES));
  }
}
