/** Reading lines: cuts what was received, and delivers whole lines while the handler reads. */
import { bytesOf, rangeError } from '../system/arguments';
import type { Handled, Owner } from '../transport/callbacks';
import type { HeldInput } from '../transport/reading';
import type { StreamTransport } from '../transport/stream';

import { LineBuffer } from './line-buffer';

/** What a line reader knows of its handler. */
export interface LineOwner extends Owner {
  readonly delimiter: string | Uint8Array;
  readonly maxLineLength: number;
  readonly socketMap: { readonly closed: boolean; callSynchronized(fn: () => void): void };
  lineReceived(line: Buffer): Handled;
}

/**
 * The delimiter that was last used as a string, of any handler: most programs have one. In memory of its
 * own: a byte of Node's pool would keep all of that, 64 KiB from Node 24 on, for as long as the handler.
 */
let lastDelimiter: { readonly text: string; readonly bytes: Buffer } = {
  text: '',
  bytes: Buffer.alloc(0),
};

function ownBytes(delimiter: string | Uint8Array): Buffer {
  if (delimiter === lastDelimiter.text) return lastDelimiter.bytes;
  const given = bytesOf('delimiter', delimiter);
  const bytes = Buffer.alloc(given.length);
  bytes.set(given);
  if (typeof delimiter === 'string') lastDelimiter = { text: delimiter, bytes };
  return bytes;
}

export class LineReader implements HeldInput {
  readonly #owner: LineOwner;
  readonly #transport: StreamTransport;
  readonly #buffer = new LineBuffer();
  /** The delimiter as the handler has it, and its bytes. */
  #delimiter: string | Uint8Array | undefined = undefined;
  #delimiterBytes = lastDelimiter.bytes;

  constructor(owner: LineOwner, transport: StreamTransport) {
    this.#owner = owner;
    this.#transport = transport;
    transport.held = this;
    // As asynchia's: without lines it has nothing to do.
    transport.setReadable(true);
  }

  get length(): number {
    return this.#buffer.length;
  }

  /** What was received behind the last delivered line. */
  get rest(): Buffer {
    return this.#buffer.rest();
  }

  isDeliverable(): boolean {
    try {
      return this.#buffer.has(this.delimiterBytes());
    } catch {
      // A bad delimiter goes to `handleError`, which is not called from here: this is no callback.
      this.deliverLater();
      return true;
    }
  }

  deliverLater(): void {
    if (this.#owner.socketMap.closed) return;
    this.#owner.socketMap.callSynchronized(() => {
      this.#transport.runInAsyncScope(() => {
        this.#deliver();
      });
    });
  }

  /** Takes a chunk, and delivers the lines that are whole now. */
  receive(chunk: Buffer): void {
    this.#buffer.push(chunk);
    this.#deliver();
  }

  /** Not a getter: V8 calls a private one by way of its run-time. Throws where it is no delimiter. */
  delimiterBytes(): Buffer {
    const { delimiter } = this.#owner;
    if (this.#delimiter !== delimiter || this.#delimiterBytes.length === 0) {
      const bytes = ownBytes(delimiter);
      if (bytes.length === 0) {
        throw rangeError('delimiter', delimiter, 'a string or a view of bytes, not empty');
      }
      this.#delimiter = delimiter;
      this.#delimiterBytes = bytes;
    }
    return this.#delimiterBytes;
  }

  #deliver(): void {
    const owner = this.#owner;
    const transport = this.#transport;
    // Where a callback pauses, ends, closes or deregisters the handler, no further line is delivered.
    while (transport.isReading) {
      let line: Buffer | undefined;
      try {
        line = this.#nextLine();
      } catch (error) {
        this.#refuse(error);
        return;
      }
      if (line === undefined) break;
      try {
        transport.callbacks.settle(owner, owner.lineReceived(line));
      } catch (error) {
        // Unless that closes the handler, the lines behind it are delivered all the same.
        transport.loop.report(owner, error);
      }
    }
    this.#buffer.settle();
  }

  /** Undefined where no line is whole. Throws where the stream cannot be cut into lines. */
  #nextLine(): Buffer | undefined {
    const delimiter = this.delimiterBytes();
    const line = this.#buffer.next(delimiter);
    // The end of an unfinished line may be the beginning of its delimiter.
    const length = line?.length ?? this.#buffer.length - delimiter.length + 1;
    const limit: unknown = this.#owner.maxLineLength;
    // Written so that NaN does not count as no limit.
    if (typeof limit !== 'number' || !(length <= limit)) throw limitError(limit);
    return line;
  }

  /**
   * Where the next line begins is not known, so the connection is of no use any more. It is closed
   * at once: the bytes that come next would be taken for a line.
   */
  #refuse(error: unknown): void {
    this.#buffer.clear();
    try {
      this.#transport.loop.report(this.#owner, error);
    } finally {
      this.#transport.close();
    }
  }
}

function limitError(limit: unknown): RangeError {
  if (!(typeof limit === 'number' && limit >= 0)) {
    return rangeError('maxLineLength', limit, 'a number of bytes, 0 or more');
  }
  const error = new RangeError(
    `a line is longer than maxLineLength (${limit} bytes); the connection is closed`,
  );
  return Object.assign(error, { code: 'ERR_LINE_TOO_LONG' });
}
