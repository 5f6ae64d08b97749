/** LineHandler: receives and sends lines. */
import type { Data } from '../system/arguments';
import { type Handled, transportOf } from '../handlers/handler';

import { BufferedWriteHandler } from './buffered-write';
import { LineReader } from './line-reader';

const CHUNK_BYTES = 64 * 1024;

/** Cuts what it receives into lines. asynchia's `LineHandler`. */
export class LineHandler extends BufferedWriteHandler {
  /**
   * What ends a line: `'\n'` unless it is set. A value that is empty, or no text and no bytes, goes
   * to `handleError` when a line is looked for, and the handler is closed.
   */
  declare delimiter: string | Uint8Array;
  /**
   * How many bytes a line may have, without its delimiter: 64 KiB unless it is set. A longer one goes
   * to `handleError` as a `RangeError`, and the handler is closed; so does a value that is no number
   * of bytes. `Infinity` is no limit.
   */
  declare maxLineLength: number;

  readonly #lines = new LineReader(this, this[transportOf]);

  static {
    this.prototype.delimiter = '\n';
    this.prototype.maxLineLength = 64 * 1024;
  }

  /**
   * A line has come, without its delimiter. The bytes are the handler's to keep; a line that is kept
   * for long should be copied (`Buffer.from(line)`), because it keeps all the memory of its read,
   * 128 KiB and others' bytes too.
   */
  lineReceived(_line: Buffer): Handled {}

  /** Sends a line and its delimiter. Returns what `sendAll` does. */
  sendLine(line: Data): boolean {
    const delimiter = this.#lines.delimiterBytes();
    return this[transportOf].sendAll(line, delimiter, this.highWaterMark);
  }

  /** What came after the last delivered line. In `lineReceived` it is a part of a read, as that is. */
  get remainder(): Buffer {
    return this.#lines.rest;
  }

  /** Reads, and cuts into lines. Not to be overridden; `lineReceived` is. */
  override handleRead(): Handled {
    this.#lines.receive(this.read(CHUNK_BYTES));
  }
}
