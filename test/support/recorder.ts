/** Handlers that record their callbacks. */
import type { Socket, SocketMap, SystemError } from '../../lib';
import { BufferedWriteHandler } from '../../lib/protocols';

import { isFaulty } from './kernels';

/** Records its callbacks, in order, as words: `read abc`, `end`, `close ECONNRESET`, `cleanup`. */
export class Recorder extends BufferedWriteHandler {
  readonly events: string[] = [];
  /** All bytes read. */
  received = '';
  /** How many bytes `handleRead` reads; 0: none. */
  readBytes = 65536;

  constructor(socketMap: SocketMap, socket?: Socket) {
    super(socketMap, socket);
    this.setReadable(true);
  }

  override handleRead(): void {
    this.recordRead();
  }

  /** Returns whether there was anything to record: under faults, a read may return nothing. */
  protected recordRead(): boolean {
    const text = this.readBytes > 0 ? this.read(this.readBytes).toString('latin1') : '';
    if (isFaulty() && text === '' && this.readBytes > 0) return false;
    this.received += text;
    const last = this.events.at(-1);
    // Under faults the number of calls does not count, only the bytes between two other events.
    if (isFaulty() && last?.startsWith('read ')) this.events.push(`${this.events.pop()}${text}`);
    else this.events.push(`read ${text}`);
    return true;
  }

  /** Reads so many bytes outside of handleRead, in as many calls as needed. */
  take(count: number): string {
    let text = '';
    for (let idle = 0; idle < 2 && text.length < count; idle++) {
      const part = this.read(count - text.length).toString('latin1');
      if (part !== '') idle = -1;
      text += part;
    }
    return text;
  }

  override handleWrite(): void {
    this.events.push('write');
    void super.handleWrite();
  }

  override handleConnect(): void {
    this.events.push('connect');
  }

  override handleConnectFailed(error: SystemError): void {
    this.events.push(`connectFailed ${error.code}`);
  }

  override handleDrain(): void {
    this.events.push('drain');
  }

  override handleEnd(): void {
    this.events.push('end');
  }

  override handleClose(error?: SystemError): void {
    this.events.push(error === undefined ? 'close' : `close ${error.code}`);
  }

  override handleCleanup(): void {
    this.events.push('cleanup');
  }

  override handleError(error: unknown): void {
    this.events.push(`error ${error instanceof Error ? error.message : String(error)}`);
  }

  /** How often a callback was called. */
  count(event: string): number {
    return this.events.filter((told) => told === event).length;
  }
}
