/** Two handlers that never stop sending each other a byte: a loop with no idle moment. */
import type { Socket, SocketMap } from '../../lib';
import { IOHandler, socketpair } from '../../lib';

export class Echoing extends IOHandler {
  /** How many messages came. */
  count = 0;

  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    this.setReadable(true);
  }

  override handleRead(): void {
    this.count++;
    this.send(this.read(16));
  }
}

/** Saturates `map`, until it is closed. Returns one of the two. */
export function saturate(map: SocketMap): Echoing {
  const [left, right] = socketpair();
  const echoing = new Echoing(map, left);
  new Echoing(map, right).send('x');
  return echoing;
}
