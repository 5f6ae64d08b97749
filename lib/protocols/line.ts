import type { Data } from '../arguments';
import { bytesOf } from '../arguments';
import type { Handled } from '../handlers/handler';
import { closeHandler } from '../handlers/handler';
import {
  hasUntold,
  heldBytes,
  registry,
  sendPieces,
  state,
  State,
} from '../handlers/handler-state';

import { BufferedWriteHandler } from './buffered-write';
import { LineBuffer } from './line-buffer';

const CHUNK_BYTES = 64 * 1024;

/** Cuts what it receives into lines. asynchia's `LineHandler`. */
export class LineHandler extends BufferedWriteHandler {
  /** What ends a line: `'\n'` unless a subclass sets it. Not empty. */
  declare delimiter: string | Uint8Array;
  /**
   * How many bytes a line may have, without its delimiter: 64 KiB unless a subclass sets it. A
   * longer one goes to `handleError` as a `RangeError`, and the handler is closed.
   */
  declare maxLineLength: number;

  readonly #buffer = new LineBuffer();
  #delimiterText: string | Uint8Array | undefined = undefined;
  #delimiterBytes = Buffer.alloc(0);

  static {
    this.prototype.delimiter = '\n';
    this.prototype.maxLineLength = 64 * 1024;
  }

  /** A line has come, without its delimiter. The bytes are the handler's to keep. */
  lineReceived(_line: Buffer): Handled {}

  /** Sends a line and its delimiter. Returns what `sendAll` does. */
  sendLine(line: Data): boolean {
    return this[sendPieces](line, this.#currentDelimiter());
  }

  /** What came after the last delimiter. */
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
    if (readable && this[hasUntold]()) {
      this.socketMap.callSynchronized(() => {
        this.#tellLines();
      });
    }
  }

  /** @internal */
  override [hasUntold](): boolean {
    return (
      this.#buffer.length > 0 &&
      !(this[state] & State.ended) &&
      this.#buffer.has(this.#currentDelimiter())
    );
  }

  /** @internal */
  override [heldBytes](): number {
    return this.#buffer.length;
  }

  /** Not a getter: V8 calls a private one by way of its run-time. */
  #currentDelimiter(): Buffer {
    if (this.#delimiterText !== this.delimiter) {
      const bytes = Buffer.from(bytesOf('delimiter', this.delimiter));
      if (bytes.length === 0) throw new RangeError('delimiter must not be empty');
      this.#delimiterText = this.delimiter;
      this.#delimiterBytes = bytes;
    }
    return this.#delimiterBytes;
  }

  #tellLines(): void {
    const inner = this.socketMap[registry];
    // Pausing, ending and closing in a callback hold from the next line on.
    while ((this[state] & WANTS_LINES) === State.readable) {
      const delimiter = this.#currentDelimiter();
      const line = this.#buffer.next(delimiter);
      // The end of an unfinished line may be the beginning of its delimiter.
      const length = line?.length ?? this.#buffer.length - delimiter.length + 1;
      if (length > this.maxLineLength) {
        this.#refuse();
        return;
      }
      if (line === undefined) return;
      try {
        inner.settle(this, this.lineReceived(line));
      } catch (error) {
        // The lines behind it are told all the same.
        inner.report(this, error);
      }
    }
  }

  /** No way to know where the next line begins: the connection is of no use any more. */
  #refuse(): void {
    this.#buffer.clear();
    this.setReadable(false);
    this.socketMap.callSynchronized(() => {
      closeHandler(this);
    });
    const error = new RangeError(
      `a line is longer than maxLineLength (${this.maxLineLength} bytes); the connection is closed`,
    );
    this.socketMap[registry].report(this, Object.assign(error, { code: 'ERR_LINE_TOO_LONG' }));
  }
}

const WANTS_LINES = State.readable | State.closed | State.ended;
