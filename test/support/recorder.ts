/** Handlers that write down what they are told. */
import type { Socket, SocketMap, SystemError } from '../../lib';
import { BufferedWriteHandler } from '../../lib/protocols';

/** Records its callbacks, in order, as words: `read abc`, `end`, `close ECONNRESET`, `cleanup`. */
export class Recorder extends BufferedWriteHandler {
  readonly events: string[] = [];
  /** All that was read. */
  received = '';
  /** How much `handleRead` reads; 0: it leaves everything where it is. */
  readBytes = 65536;

  constructor(socketMap: SocketMap, socket?: Socket) {
    super(socketMap, socket);
    this.setReadable(true);
  }

  override handleRead(): void {
    const text = this.readBytes > 0 ? this.read(this.readBytes).toString('latin1') : '';
    this.received += text;
    this.events.push(`read ${text}`);
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

  /** How often something was told. */
  count(event: string): number {
    return this.events.filter((told) => told === event).length;
  }
}
