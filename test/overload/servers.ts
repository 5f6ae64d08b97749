/** The servers of the overload scenarios. */
import type { Socket, SocketMap } from 'asynchia';
import { BufferedWriteHandler } from 'asynchia/protocols';

/** The number of a scenario's handlers: now, and at most. */
export class Census {
  now = 0;
  most = 0;

  come(): void {
    this.most = Math.max(this.most, ++this.now);
  }

  go(): void {
    this.now--;
  }
}

export const census = new Census();

/** Echoes, and does not read while its peer does not. */
export class Echo extends BufferedWriteHandler {
  static mostBuffered = 0;

  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    census.come();
    this.setReadable(true);
  }

  override handleRead(): void {
    if (!this.sendAll(this.read(65536))) this.setReadable(false);
    Echo.mostBuffered = Math.max(Echo.mostBuffered, this.bufferedAmount);
  }

  override handleDrain(): void {
    this.setReadable(true);
  }

  override handleCleanup(): void {
    census.go();
  }
}
