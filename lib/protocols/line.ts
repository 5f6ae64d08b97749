import type { Data } from '../arguments';
import { bytesOf, rangeError } from '../arguments';
import type { Handled } from '../handlers/handler';
import { closeHandler } from '../handlers/life';
import {
  hasUntold,
  heldBytes,
  registry,
  sendPieces,
  state,
  State,
  tellHeld,
} from '../handlers/handler-state';

import { BufferedWriteHandler } from './buffered-write';
import { LineBuffer } from './line-buffer';

const CHUNK_BYTES = 64 * 1024;

/** Cuts what it receives into lines. asynchia's `LineHandler`. */
export class LineHandler extends BufferedWriteHandler {
  /**
   * What ends a line: `'\n'` unless a subclass sets it. What is empty, or no text and no bytes, goes
   * to `handleError` when a line is looked for, and the handler is closed.
   */
  declare delimiter: string | Uint8Array;
  /**
   * How many bytes a line may have, without its delimiter: 64 KiB unless a subclass sets it. A
   * longer one goes to `handleError` as a `RangeError`, and the handler is closed; so does what is no
   * number of bytes. `Infinity` is no limit.
   */
  declare maxLineLength: number;

  readonly #buffer = new LineBuffer();
  #delimiterText: string | Uint8Array | undefined = undefined;
  #delimiterBytes = Buffer.alloc(0);

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
    return this[sendPieces](line, this.#currentDelimiter());
  }

  /** What came after the last line that was told. In `lineReceived` it is a part of a read, as that is. */
  get remainder(): Buffer {
    return this.#buffer.rest();
  }

  /** Reads, and cuts into lines. Not to be overridden; `lineReceived` is. */
  override handleRead(): Handled {
    this.#buffer.push(this.read(CHUNK_BYTES));
    this.#tellLines();
  }

  /** Lines that were held back while the handler was paused are told in the next turn. */
  override setReadable(readable: boolean): void {
    super.setReadable(readable);
    this[tellHeld]();
  }

  /** @internal */
  override [tellHeld](): void {
    super[tellHeld]();
    if (this[state] & State.readable && this[hasUntold]()) this.#tellLater();
  }

  /** @internal */
  override [hasUntold](): boolean {
    if (this.#buffer.length === 0 || this[state] & State.ended) return false;
    try {
      return this.#buffer.has(this.#currentDelimiter());
    } catch {
      // That there is no delimiter is still to be told, where errors are: whoever asks is no callback.
      this.#tellLater();
      return true;
    }
  }

  /** @internal */
  override [heldBytes](): number {
    return this.#buffer.length;
  }

  /** Not a getter: V8 calls a private one by way of its run-time. */
  #currentDelimiter(): Buffer {
    if (this.#delimiterText !== this.delimiter || this.#delimiterBytes.length === 0) {
      const bytes = Buffer.from(bytesOf('delimiter', this.delimiter));
      if (bytes.length === 0) {
        throw rangeError('delimiter', this.delimiter, 'a string or a view of bytes, not empty');
      }
      this.#delimiterText = this.delimiter;
      this.#delimiterBytes = bytes;
    }
    return this.#delimiterBytes;
  }

  #tellLater(): void {
    if (this.socketMap.closed) return;
    this.socketMap.callSynchronized(() => {
      this.#tellLines();
    });
  }

  #tellLines(): void {
    const inner = this.socketMap[registry];
    // Pausing, ending, closing and leaving the map in a callback hold from the next line on.
    while ((this[state] & WANTS_LINES) === WANTED) {
      let line: Buffer | undefined;
      try {
        line = this.#nextLine();
      } catch (error) {
        this.#refuse(error);
        return;
      }
      if (line === undefined) break;
      try {
        inner.settle(this, this.lineReceived(line));
      } catch (error) {
        // The lines behind it are told all the same.
        inner.report(this, error);
      }
    }
    this.#buffer.settle();
  }

  /** Undefined where none is whole. Throws where no more can be cut. */
  #nextLine(): Buffer | undefined {
    const delimiter = this.#currentDelimiter();
    const line = this.#buffer.next(delimiter);
    // The end of an unfinished line may be the beginning of its delimiter.
    const length = line?.length ?? this.#buffer.length - delimiter.length + 1;
    const limit: unknown = this.maxLineLength;
    // Said so that NaN is no way to have no limit.
    if (typeof limit !== 'number' || !(length <= limit)) throw limitError(limit);
    return line;
  }

  /**
   * No way to know where the next line begins: the connection is of no use any more. Closed at once,
   * so that nothing comes to read on: its next bytes would be taken for a line.
   */
  #refuse(error: unknown): void {
    this.#buffer.clear();
    try {
      this.socketMap[registry].report(this, error);
    } finally {
      closeHandler(this);
    }
  }
}

const WANTED = State.readable | State.member;
const WANTS_LINES = WANTED | State.closed | State.ended;

function limitError(limit: unknown): RangeError {
  if (!(typeof limit === 'number' && limit >= 0)) {
    return rangeError('maxLineLength', limit, 'a number of bytes, 0 or more');
  }
  const error = new RangeError(
    `a line is longer than maxLineLength (${limit} bytes); the connection is closed`,
  );
  return Object.assign(error, { code: 'ERR_LINE_TOO_LONG' });
}
