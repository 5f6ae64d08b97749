/** Server: a listener that makes a handler of one class for every connection. */
import { typeError } from '../arguments';
import type { Address, SocketAddress } from '../sockets/address-types';
import type { Socket } from '../sockets/socket';

import { AcceptHandler } from './acceptor';
import { type Handled, Handler, type SocketMap } from './handler';
import { registry, socketOf } from './handler-state';
import { closeHandler } from './life';

/** A class whose instances serve one connection each. */
export type HandlerClass<H extends Handler> = new (socketMap: SocketMap, socket: Socket) => H;

function isHandlerClass(value: unknown): boolean {
  return typeof value === 'function' && value.prototype instanceof Handler;
}

/** Makes a handler per connection. asynchia's `Server`. */
export class Server<H extends Handler = Handler> extends AcceptHandler {
  readonly #handlerClass: HandlerClass<H>;

  constructor(socketMap: SocketMap, handlerClass: HandlerClass<H>) {
    // Not found out only when the first connection comes.
    if (!isHandlerClass(handlerClass)) {
      throw typeError('handlerClass', handlerClass, 'a class that extends Handler');
    }
    super(socketMap);
    this.#handlerClass = handlerClass;
  }

  /** Makes the handler. Not to be overridden; `newConnection` is. */
  override handleAccept(socket: Socket, address: SocketAddress): Handled {
    return this.newConnection(this.#handlerFor(socket), address);
  }

  /** Where its constructor throws, what it has left in the map is not to serve the connection. */
  #handlerFor(socket: Socket): H {
    try {
      return new this.#handlerClass(this.socketMap, socket);
    } catch (error) {
      const halfMade = this.socketMap[registry].holder(socket.fileno());
      if (halfMade?.[socketOf] === socket) closeHandler(halfMade);
      throw error;
    }
  }

  /** A connection has come, and has its handler. */
  newConnection(_handler: H, _address: SocketAddress): Handled {}

  /** Binds, with `reuseAddr`, listens, and runs the map. Settles when the map is closed. */
  async serveForever(address: Address, backlog: number): Promise<void> {
    this.reuseAddr();
    this.bind(address);
    this.listen(backlog);
    await this.socketMap.run();
  }
}
