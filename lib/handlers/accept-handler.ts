/** AcceptHandler: a handler that listens, and accepts connections. */
import type { Socket } from '../sockets/socket';
import type { Address, SocketAddress } from '../system/address-types';
import { constants } from '../system/constants';
import type { SystemError } from '../system/errors';
import { ListeningTransport } from '../transport/listening';
import type { Loop } from '../transport/loop';
import type { Transport } from '../transport/transport';

import { type Handled, Handler, makeTransport, transportOf } from './handler';

/** Listens on a socket and accepts connections. asynchia's `AcceptHandler`. */
export class AcceptHandler extends Handler {
  /** @internal */
  declare readonly [transportOf]: ListeningTransport;
  /**
   * Most connections at once; without limit, `Infinity`, unless it is set: in a subclass or at any
   * time. At the limit the listener rests: connections wait in the backlog, and accepting goes on as
   * soon as one has ended. What counts is every socket that was accepted while there was a limit,
   * whatever handler has it, until its descriptor is closed or detached.
   *
   * A class may declare it as a field. What is set on its instances later takes effect when the next
   * connection comes or ends. A bad value throws: when it is set, or from `listen`.
   */
  declare maxConnections: number;
  /** Most connections that are accepted in one turn. 64 unless it is set. Checked by `listen`. */
  declare acceptsPerTurn: number;

  static {
    this.prototype.acceptsPerTurn = 64;
    Object.defineProperty(this.prototype, 'maxConnections', {
      configurable: true,
      get(this: AcceptHandler): number {
        return this[transportOf].maxConnections;
      },
      set(this: AcceptHandler, count: number) {
        this[transportOf].setMaxConnections(count);
      },
    });
  }

  /** `SO_REUSEADDR`: binds to a port whose old connections still linger. */
  reuseAddr(): void {
    this[transportOf].setOption(constants.SO_REUSEADDR);
  }

  /** `SO_REUSEPORT`: several listeners, of several processes too, share a port. */
  reusePort(): void {
    this[transportOf].setOption(constants.SO_REUSEPORT);
  }

  /**
   * Binds. A host name is resolved at once, blocking: it is for a server's set-up. Throws a
   * `SystemError` (`EADDRINUSE` …) where the kernel refuses.
   */
  bind(address: Address): void {
    this[transportOf].bind(address);
  }

  /**
   * Listens, and accepts from now on. `backlog` is how many connections may wait to be accepted;
   * the kernel caps it at net.core.somaxconn, and lets one more wait than it says.
   */
  listen(backlog: number): void {
    this[transportOf].listen(backlog);
  }

  /** A connection was accepted. The socket is the handler's; one that it does not keep, it closes. */
  handleAccept(socket: Socket, _address: SocketAddress): Handled {
    socket.close();
  }

  /**
   * Accepting failed, or watching for connections. Out of descriptors or memory (`EMFILE`,
   * `ENFILE`, `ENOBUFS`, `ENOMEM`, `ENOSPC`) the connections wait in the backlog, and it is tried
   * again by itself.
   */
  handleAcceptError(_error: SystemError): Handled {}

  /** Accepts what waits. Not to be overridden; `handleAccept` is. */
  override handleRead(): Handled {
    this[transportOf].acceptWaiting();
  }

  /** @internal */
  override [makeTransport](loop: Loop<Transport>): Transport {
    return new ListeningTransport(loop, this);
  }
}
