/** Connecting: looks a name up, and tries its addresses in turn until one answers. */
import { familyOf, type ParsedAddress, resolvedAddress, unpackAddress } from '../sockets/address';
import type { LookupResult } from '../sockets/lookups';
import { Socket, type SocketSurface } from '../sockets/socket';
import type { SocketAddress } from '../system/address-types';
import { constants, Errno } from '../system/constants';
import { lookupError, SystemError } from '../system/errors';

import type { Transport } from './transport';

/** What became of an attempt: the next address is being tried, it is connected, or it failed. */
export type Outcome = 'pending' | 'connected' | SystemError;

/** A call of `connect`, from its address to its outcome. */
export class ConnectAttempt {
  readonly #transport: Transport;
  /** The first is being tried; none while the name is looked up. */
  #addresses: SocketAddress[] = [];

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Begins. Every failure is left to `settle`, so that `connect` has returned before. */
  begin(parsed: ParsedAddress): void {
    if ('packed' in parsed) {
      this.#addresses = [unpackAddress(parsed.packed)];
      this.#try();
      return;
    }
    const { hostname, port } = parsed;
    try {
      this.#transport.loop.resolve(hostname, (result) => {
        this.#resolved(hostname, port, result);
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Asks for the outcome, and tries the next address where there is one. */
  settle(): Outcome {
    const [address, ...others] = this.#addresses;
    const error = this.#takeError(address);
    if (error === undefined) return 'connected';
    if (others.length === 0) return error;
    this.#addresses = others;
    this.#transport.dropSocket();
    this.#try();
    return 'pending';
  }

  /** Gives up. */
  timeOut(): void {
    const [address] = this.#addresses;
    // Closed, so that it does not succeed meanwhile.
    this.#transport.dropSocket();
    this.#fail(new SystemError('connect', Errno.timedOut, address));
  }

  /** The kernel reports an attempt's error once: maybe to a transfer that was tried. */
  #takeError(address: SocketAddress | undefined): SystemError | undefined {
    const transport = this.#transport;
    const { failure } = transport;
    transport.failure = undefined;
    if (failure !== undefined) {
      return address === undefined ? failure : new SystemError('connect', failure.errno, address);
    }
    const { SOL_SOCKET, SO_ERROR } = constants;
    try {
      const errno = transport.openSocket('connect').getsockopt(SOL_SOCKET, SO_ERROR);
      return errno === 0 ? undefined : new SystemError('connect', -errno, address);
    } catch (error) {
      // The descriptor is no socket any more.
      if (error instanceof SystemError) return error;
      throw error;
    }
  }

  #resolved(hostname: string, port: number, result: LookupResult): void {
    if (this.#transport.isClosed) return;
    if (typeof result === 'string') {
      this.#fail(lookupError(result, hostname));
      return;
    }
    const addresses = result.map((packed) => resolvedAddress(packed, port));
    const { socket } = this.#transport;
    // A socket that was handed in has options of its own and is not replaced: it gets one attempt.
    this.#addresses = socket === undefined ? addresses : bestFor(socket, addresses);
    this.#try();
  }

  /** Tries the addresses that are left until one is on its way. */
  #try(): void {
    const transport = this.#transport;
    for (;;) {
      const [address, ...others] = this.#addresses;
      if (address === undefined) return;
      try {
        if (transport.socket === undefined) {
          transport.attach(Socket.createOn(transport.loop.kernel, familyOf(address)));
        }
        transport.openSocket('connect').connect(address);
        // Also where it is connected at once (a Unix socket): handleConnect comes from the loop.
        transport.loop.interestChanged(transport);
        return;
      } catch (error) {
        transport.dropSocket();
        if (others.length === 0) {
          this.#fail(error);
          return;
        }
        this.#addresses = others;
      }
    }
  }

  #fail(error: unknown): void {
    if (!(error instanceof SystemError)) throw error;
    this.#addresses = [];
    this.#transport.failure = error;
    this.#transport.loop.pendingLater(this.#transport);
  }
}

/** The first address of the socket's own family, or else the first. */
function bestFor(socket: SocketSurface, addresses: readonly SocketAddress[]): SocketAddress[] {
  const family = domainOf(socket);
  const own = addresses.find((address) => familyOf(address) === family);
  return own === undefined ? addresses.slice(0, 1) : [own];
}

/** socket(7); undefined where it is no socket, as connecting will show. */
function domainOf(socket: SocketSurface): number | undefined {
  try {
    return socket.getsockopt(constants.SOL_SOCKET, constants.SO_DOMAIN);
  } catch {
    return undefined;
  }
}
