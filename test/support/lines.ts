/** A LineHandler that records its callbacks. */
import type { Handled, Socket, SocketMap, SystemError } from '../../lib';
import { LineHandler } from '../../lib/protocols';

/** Records lines and other callbacks. */
export class Lines extends LineHandler {
  readonly events: string[] = [];
  onLine: (line: string) => Handled = () => {};
  onError: () => void = () => {};

  constructor(map: SocketMap, socket: Socket, delimiter?: string | Uint8Array) {
    super(map, socket);
    if (delimiter !== undefined) this.delimiter = delimiter;
  }

  override lineReceived(line: Buffer): Handled {
    this.events.push(line.toString('latin1'));
    return this.onLine(line.toString('latin1'));
  }

  override handleClose(error?: SystemError): void {
    this.events.push(error === undefined ? '-close' : `-close ${error.code}`);
  }

  override handleCleanup(): void {
    this.events.push('-cleanup');
  }

  override handleError(error: unknown): void {
    this.events.push(`-error ${(error as Error).name}: ${(error as Error).message}`);
    this.onError();
  }
}
