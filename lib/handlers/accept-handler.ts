/** AcceptHandler: a handler that listens, and accepts connections. */
import type { Socket } from '../sockets/socket';
import type { Address, SocketAddress } from '../system/address-types';
import { constants } from '../system/constants';
import type { SystemError } from '../system/errors';
import { ListeningTransport } from '../transport/listening';
import type { Loop } from '../transport/loop';
import type { Transport } from '../transport/transport';

import {
  type Handled,
  Handler,
  isPrototype,
  makeTransport,
  setOnPrototype,
  transportOf,
} from './handler';

/** Listens on a socket and accepts connections. asynchia's `AcceptHandler`. */
export class AcceptHandler extends Handler {
  /** @internal */
  declare readonly [transportOf]: ListeningTransport;
  /**
   * The most connections at a time: an integer, 1 or more, or `Infinity`, the default. Set it in a
   * subclass or at any time. At the limit the listener pauses: connections wait in the backlog, and
   * accepting resumes as soon as one has ended. Each socket that was accepted under a limit counts,
   * whichever handler has it, until its descriptor is closed or detached.
   *
   * A class that declares it as a field hides the accessor: a later change on an instance takes
   * effect when a connection arrives or ends.
   *
   * @throws `TypeError` or `RangeError` when an invalid value is set; for a field, `listen` throws.
   */
  declare maxConnections: number;
  /**
   * The most connections that one iteration accepts, so that many arriving connections do not delay
   * the other handlers. An integer, 1 or more; 64 by default. `listen` checks it.
   */
  declare acceptsPerTurn: number;

  static {
    this.prototype.acceptsPerTurn = 64;
    Object.defineProperty(this.prototype, 'maxConnections', {
      configurable: true,
      get(this: AcceptHandler): number {
        return isPrototype(this) ? Infinity : this[transportOf].maxConnections;
      },
      set(this: AcceptHandler, count: number) {
        if (isPrototype(this)) setOnPrototype(this, 'maxConnections', count);
        else this[transportOf].setMaxConnections(count);
      },
    });
  }

  /**
   * Sets `SO_REUSEADDR` (socket(7)): `bind` takes a port although old connections on it are in
   * TIME_WAIT. Before `bind` it is kept and applied then. asynchia's `reuse_addr`.
   *
   * @throws `Error` with the code `ERR_CLOSED`; `SystemError` if the kernel refuses it.
   */
  reuseAddr(): void {
    this[transportOf].setOption(constants.SO_REUSEADDR);
  }

  /**
   * Sets `SO_REUSEPORT` (socket(7)): several listeners, also of other processes, share a port.
   * Before `bind` it is kept and applied then.
   *
   * @throws `Error` with the code `ERR_CLOSED`; `SystemError` if the kernel refuses it.
   */
  reusePort(): void {
    this[transportOf].setOption(constants.SO_REUSEPORT);
  }

  /**
   * Has `bind` to a Unix path replace the file that a listener has left there: a socket file to which
   * no socket is bound any more (connect(2): `ECONNREFUSED`), as where a process was killed. What is
   * in use, and a file of any other kind, is left alone: `EADDRINUSE`. Of two processes that replace
   * the same file in the same instant, the later one can take the path from the other.
   *
   * @throws `Error` with the code `ERR_CLOSED`.
   */
  reusePath(): void {
    this[transportOf].reusePath();
  }

  /**
   * Binds the listener to an address, and makes its socket if it has none. bind(2). A host name is
   * resolved at once and blocks the thread: use it while a server is set up. After a failure,
   * `bind` may be called again.
   *
   * The file of a Unix path is removed when the listener is closed, if it is still the one that
   * `bind` has made. It stays where the socket was detached, where it is borrowed, and where the
   * process or the worker thread ends without closing the listener: see `reusePath`.
   *
   * @param address - Port 0 has the kernel choose one: `this.socket.getsockname()` returns it.
   * @throws `TypeError` or `RangeError` for the address; `SystemError`: `EADDRINUSE`, `EACCES`,
   * `EADDRNOTAVAIL`, `EINVAL` if it is bound already, `ENOTFOUND` for an unknown name; `Error` with
   * the code `ERR_CLOSED`.
   */
  bind(address: Address): void {
    this[transportOf].bindTo(address);
  }

  /**
   * Starts listening and accepting. listen(2)
   *
   * @param backlog - How many connections may wait to be accepted, an integer from 0. The kernel
   * limits it to net.core.somaxconn, and lets one more wait.
   * @throws `TypeError` or `RangeError` for `backlog`, `maxConnections` or `acceptsPerTurn`;
   * `Error` with the code `ERR_NO_SOCKET` before `bind`, `ERR_CLOSED` when closed; `SystemError` if
   * the kernel refuses it.
   */
  listen(backlog: number): void {
    this[transportOf].listen(backlog);
  }

  /**
   * Called for each accepted connection; closes it unless overridden. An override owns the socket:
   * it gives it to a handler, or closes it. If it throws or its promise rejects, `handleError` is
   * called, and the socket is closed unless a handler has it.
   *
   * @param socket - The connection.
   * @param _address - The address of its peer.
   */
  handleAccept(socket: Socket, _address: SocketAddress): Handled {
    socket.close();
  }

  /**
   * Called when accepting has failed, or the listener cannot be watched: out of descriptors or
   * memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`, `ENOSPC`), or shut down (shutdown(2)) by a
   * process that shares it (`EINVAL`). The connections stay in the
   * backlog, and accepting is tried again by itself: after 0.05 s at first, then after twice as
   * long each time, up to 1 s.
   *
   * @param _error - The failure. accept(2), epoll_ctl(2)
   */
  handleAcceptError(_error: SystemError): Handled {}

  /** Accepts the connections that wait. Override `handleAccept`, not this. */
  override handleRead(): Handled {
    this[transportOf].acceptWaiting();
  }

  /** @internal */
  override [makeTransport](loop: Loop<Transport>): Transport {
    return new ListeningTransport(loop, this);
  }
}
