/** The simulated network: which sockets are bound to which addresses, and how they connect. */
import type { InetAddress, SocketAddress, UnixAddress } from '../system/address-types';
import { familyOf, isInFileSystem } from '../sockets/address';
import { constants } from '../system/constants';
import type { SocketFile } from '../system/kernel';

import { Errno } from './description';
import type { Simulation } from './simulation';
import { Stream } from './stream';

/** The ports for sockets that ask for any (RFC 6335, 6). */
const FIRST_FREE_PORT = 49_152;
const LAST_PORT = 65_535;
/** The first pause before a connection attempt is repeated; each further one is twice as long. */
const FIRST_RETRY_SECONDS = 1;

/** The network of one simulation. */
export class Network {
  readonly #simulation: Simulation;
  /** The bound sockets, and whether each shares its port (SO_REUSEPORT). */
  readonly #bound = new Map<Stream, boolean>();
  #nextPort = FIRST_FREE_PORT;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** bind(2). */
  bind(stream: Stream, address: SocketAddress, isShared: boolean): number {
    if (stream.local !== undefined || stream.phase !== 'unconnected') return -Errno.EINVAL;
    if (stream.family !== familyOf(address)) return -Errno.EAFNOSUPPORT;
    const isFree = this.#boundTo(address).every((other) => isShared && this.#bound.get(other));
    if (!isFree) return -Errno.EADDRINUSE;
    stream.local = 'port' in address && address.port === 0 ? this.#withFreePort(address) : address;
    this.#bound.set(stream, isShared);
    return 0;
  }

  /** A stream was closed. A Unix path stays in use: its file still exists. unix(7) */
  release(stream: Stream): void {
    const { local } = stream;
    const isFile = local !== undefined && 'path' in local && isInFileSystem(local.path);
    if (!isFile) this.#bound.delete(stream);
  }

  /** The file of a bound Unix path. */
  socketFile(path: string | Buffer): SocketFile | undefined {
    const [stream] = this.#boundTo({ path });
    if (stream === undefined) return undefined;
    return {
      isDead: () => stream.phase === 'closed',
      remove: () => {
        const isRemoved = this.#bound.delete(stream);
        if (isRemoved) this.#simulation.traceCall('unlink', [path], 0);
        return isRemoved;
      },
    };
  }

  /** listen(2). */
  listen(stream: Stream, backlog: number): number {
    if (stream.phase !== 'unconnected' && stream.phase !== 'listening') return -Errno.EINVAL;
    if (stream.local === undefined) {
      if (stream.isUnix) return -Errno.EINVAL;
      const family = stream.family === constants.AF_INET ? 'IPv4' : 'IPv6';
      this.bind(stream, anyAddress(family), false);
    }
    stream.phase = 'listening';
    stream.backlogLimit = backlog;
    return 0;
  }

  /** connect(2). `retries`: how often the attempt is repeated while the backlog is full. */
  connect(stream: Stream, address: SocketAddress, retries: number): number {
    if (stream.phase === 'connecting') return -Errno.EALREADY;
    if (stream.phase !== 'unconnected') return -Errno.EISCONN;
    if (stream.family !== familyOf(address)) return -Errno.EAFNOSUPPORT;
    if ('path' in address) return this.#connectUnix(stream, address);
    // No sockets of other families exist here.
    if ('bytes' in address) return -Errno.EAFNOSUPPORT;
    // There is no connection to a multicast address.
    if (/^(22[4-9]|23\d|ff)/.test(address.host)) return -Errno.ENETUNREACH;
    stream.local ??= this.#withFreePort(destinationOf(address));
    stream.phase = 'connecting';
    const attempt = (count: number): void => {
      if (stream.phase !== 'connecting') return;
      const listener = this.#listenerAt(address);
      if (listener === undefined) stream.fail(Errno.ECONNREFUSED);
      else if (hasRoom(listener)) this.#establish(stream, listener, destinationOf(address));
      else if (count > retries) stream.fail(Errno.ETIMEDOUT);
      else this.#after(FIRST_RETRY_SECONDS * 1000 * 2 ** count, () => attempt(count + 1));
    };
    const delayMs = this.#simulation.delayMs();
    if (delayMs === 0) attempt(0);
    else this.#after(delayMs, () => attempt(0));
    return -Errno.EINPROGRESS;
  }

  #connectUnix(stream: Stream, address: UnixAddress): number {
    const listener = this.#listenerAt(address);
    if (listener === undefined) {
      const isFile = isInFileSystem(address.path);
      return isFile && this.#boundTo(address).length === 0 ? -Errno.ENOENT : -Errno.ECONNREFUSED;
    }
    if (!hasRoom(listener)) return -Errno.EAGAIN;
    this.#establish(stream, listener, address);
    return 0;
  }

  /** Connects `client`, and puts the server's end of the connection into the backlog. */
  #establish(client: Stream, listener: Stream, address: SocketAddress): void {
    const server = new Stream(this.#simulation, client.family);
    server.local = address;
    server.remote = client.local;
    client.remote = address;
    client.connectTo(server);
    listener.backlog.push(server);
  }

  /** A listener with that address, at random if several share it; undefined if there is none. */
  #listenerAt(address: SocketAddress): Stream | undefined {
    const listeners = this.#boundTo(address).filter((stream) => !stream.refuses);
    return this.#simulation.random.pick(listeners);
  }

  /** The sockets that are bound to that address. */
  #boundTo(address: SocketAddress): Stream[] {
    return [...this.#bound.keys()].filter(({ local }) => local && isSame(local, address));
  }

  /** The address with a port that no socket is bound to. */
  #withFreePort(address: InetAddress): InetAddress {
    for (;;) {
      const candidate = { ...address, port: this.#nextPort };
      this.#nextPort = this.#nextPort === LAST_PORT ? FIRST_FREE_PORT : this.#nextPort + 1;
      if (this.#boundTo(candidate).length === 0) return candidate;
    }
  }

  #after(ms: number, fn: () => void): void {
    this.#simulation.schedule(this.#simulation.nowMs + ms, fn);
  }
}

/** A backlog takes one more than its limit, as on Linux. */
function hasRoom(listener: Stream): boolean {
  return listener.backlog.length <= listener.backlogLimit;
}

/** Whether two addresses overlap: they are the same, or one is that of every interface. */
function isSame(a: SocketAddress, b: SocketAddress): boolean {
  if ('path' in a || 'path' in b) return 'path' in a && 'path' in b && isSamePath(a.path, b.path);
  if ('bytes' in a || 'bytes' in b) return false;
  if (a.family !== b.family || a.port !== b.port) return false;
  return a.host === b.host || [a.host, b.host].includes(anyAddress(a.family).host);
}

/** A path is a Buffer only where it is no text, so that the two never mean the same. */
function isSamePath(a: string | Buffer, b: string | Buffer): boolean {
  return typeof a === 'string' || typeof b === 'string' ? a === b : a.equals(b);
}

/** The address of every interface. */
function anyAddress(family: InetAddress['family']): InetAddress {
  return { host: family === 'IPv4' ? '0.0.0.0' : '::', port: 0, family };
}

/** Where a connection to that address leads: to every interface means to this machine. */
function destinationOf(address: InetAddress): InetAddress {
  const { family, host } = address;
  const loopback = family === 'IPv4' ? '127.0.0.1' : '::1';
  return host === anyAddress(family).host ? { ...address, host: loopback } : address;
}
