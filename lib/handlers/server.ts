/** Server: a listener that makes a handler of one class for every connection. */
import { typeError } from '../system/arguments';
import type { Address, SocketAddress } from '../system/address-types';
import type { Socket, SocketSurface } from '../sockets/socket';

import { loopOf } from '../transport/loop';

import { AcceptHandler } from './accept-handler';
import { type Handled, Handler, type SocketMap } from './handler';

/** A class whose instances each serve one accepted connection. */
export type HandlerClass<H extends Handler> = new (socketMap: SocketMap, socket: Socket) => H;

function isHandlerClass(value: unknown): boolean {
  return typeof value === 'function' && value.prototype instanceof Handler;
}

/** A listener that makes a handler of one class for each connection. asynchia's `Server`. */
export class Server<H extends Handler = Handler> extends AcceptHandler {
  readonly #handlerClass: HandlerClass<H>;

  /**
   * Makes a server that does not listen yet: call `serveForever`, or `bind` and `listen`.
   *
   * @param socketMap - The map of the server and of its handlers.
   * @param handlerClass - Called as `new handlerClass(socketMap, socket)` for each connection.
   * @param sock - The socket to listen on, as for every handler; if omitted, `bind` makes it.
   * @throws `TypeError` if an argument is no map, or no class that extends `Handler`;
   * `SocketMapClosedError`.
   */
  constructor(socketMap: SocketMap, handlerClass: HandlerClass<H>, sock?: SocketSurface) {
    // Checked here, not when the first connection comes.
    if (!isHandlerClass(handlerClass)) {
      throw typeError('handlerClass', handlerClass, 'a class that extends Handler');
    }
    super(socketMap, sock);
    this.#handlerClass = handlerClass;
  }

  /**
   * Makes the handler of a connection and calls `newConnection`. If its constructor throws,
   * `handleError` of the server is called and the connection is closed. Override `newConnection`,
   * not this.
   */
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

  /**
   * Called for each connection when its handler exists. asynchia's `new_connection`.
   *
   * @param _handler - The new handler.
   * @param _address - The address of its peer.
   */
  newConnection(_handler: H, _address: SocketAddress): Handled {}

  /**
   * Sets `SO_REUSEADDR`, binds, listens and runs the map. asynchia's `serve_forever`.
   *
   * @param address - As for `bind`.
   * @param backlog - As for `listen`.
   * @returns A promise that is fulfilled when the map is closed. It rejects with what `bind`,
   * `listen` or `run` throws; where that is `run`, the server is closed before.
   */
  async serveForever(address: Address, backlog: number): Promise<void> {
    this.reuseAddr();
    this.bind(address);
    this.listen(backlog);
    try {
      await this.socketMap.run();
    } catch (error) {
      // Nothing would accept what waits in its backlog.
      this.close();
      throw error;
    }
  }
}
