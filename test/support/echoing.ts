/** Two handlers that never stop sending each other a byte: a loop with no idle moment. */
import { Socket, type SocketMap } from '../../lib';
import { loopOf } from '../../lib/transport/loop';
import { BufferedWriteHandler } from '../../lib/protocols';

export class Echoing extends BufferedWriteHandler {
  /** The number of received messages. */
  count = 0;

  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    this.setReadable(true);
  }

  override handleRead(): void {
    this.count++;
    this.sendAll(this.read(16));
  }
}

/** Saturates `map`, until it is closed. Returns one of the two. */
export function saturate(map: SocketMap): Echoing {
  const [left, right] = Socket.pairOn(map[loopOf].kernel);
  const echoing = new Echoing(map, left);
  new Echoing(map, right).sendAll('x');
  return echoing;
}
