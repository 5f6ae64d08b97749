/** Server: a listener that makes a handler of one class for every connection. */
import { typeError } from '../system/arguments';
import type { Address, SocketAddress } from '../system/address-types';
import type { Socket } from '../sockets/socket';

import { loopOf } from '../transport/loop';

import { AcceptHandler } from './accept-handler';
import { type Handled, Handler, type SocketMap } from './handler';

/** A class whose instances serve one connection each. */
export type HandlerClass<H extends Handler> = new (socketMap: SocketMap, socket: Socket) => H;

function isHandlerClass(value: unknown): boolean {
  return typeof value === 'function' && value.prototype instanceof Handler;
}

/** Makes a handler per connection. asynchia's `Server`. */
export class Server<H extends Handler = Handler> extends AcceptHandler {
  readonly #handlerClass: HandlerClass<H>;

  constructor(socketMap: SocketMap, handlerClass: HandlerClass<H>) {
    // Checked here, not when the first connection comes.
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

  /** Where the constructor throws, a transport that it has registered is closed. */
  #handlerFor(socket: Socket): H {
    try {
      return new this.#handlerClass(this.socketMap, socket);
    } catch (error) {
      const halfMade = this.socketMap[loopOf].holder(socket.fileno());
      if (halfMade?.socket === socket) halfMade.close();
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
