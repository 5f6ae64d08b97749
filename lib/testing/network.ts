/** Who is bound to which address, and how connections come about. */
import type { InetAddress, SocketAddress, UnixAddress } from '../system/address-types';
import { constants } from '../system/constants';

import { Errno } from './description';
import type { Simulation } from './simulation';
import { Stream } from './stream';

const FIRST_FREE_PORT = 49_152;
const LAST_PORT = 65_535;
const FIRST_RETRY_SECONDS = 1;

export class Network {
  readonly #simulation: Simulation;
  /** Everybody who is bound, and whether the port is shared (SO_REUSEPORT). */
  readonly #bound = new Map<Stream, boolean>();
  #nextPort = FIRST_FREE_PORT;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  bind(stream: Stream, address: SocketAddress, isShared: boolean): number {
    if (stream.local !== undefined || stream.phase !== 'fresh') return -Errno.EINVAL;
    if (stream.family !== familyOf(address)) return -Errno.EAFNOSUPPORT;
    const isFree = this.#at(address).every((other) => isShared && this.#bound.get(other));
    if (!isFree) return -Errno.EADDRINUSE;
    stream.local = 'port' in address && address.port === 0 ? this.#withPort(address) : address;
    this.#bound.set(stream, isShared);
    return 0;
  }

  /** A stream was closed. A Unix path stays for good, as the file does that stands for it. */
  release(stream: Stream): void {
    const { local } = stream;
    const isFile = local !== undefined && 'path' in local && !local.path.startsWith('\0');
    if (!isFile) this.#bound.delete(stream);
  }

  listen(stream: Stream, backlog: number): number {
    if (stream.phase !== 'fresh' && stream.phase !== 'listening') return -Errno.EINVAL;
    if (stream.local === undefined) {
      if (stream.isUnix) return -Errno.EINVAL;
      const family = stream.family === constants.AF_INET ? 'IPv4' : 'IPv6';
      this.bind(stream, anyAddress(family), false);
    }
    stream.phase = 'listening';
    stream.backlogLimit = backlog;
    return 0;
  }

  /** `retries`: how often a listener that does not answer is asked again. */
  connect(stream: Stream, address: SocketAddress, retries: number): number {
    if (stream.phase === 'connecting') return -Errno.EALREADY;
    if (stream.phase !== 'fresh') return -Errno.EISCONN;
    if (stream.family !== familyOf(address)) return -Errno.EAFNOSUPPORT;
    if ('path' in address) return this.#connectUnix(stream, address);
    // tcp(7): there is no connection to many.
    if (/^(22[4-9]|23\d|ff)/.test(address.host)) return -Errno.ENETUNREACH;
    stream.local ??= this.#withPort(reached(address));
    stream.phase = 'connecting';
    const attempt = (count: number): void => {
      if (stream.phase !== 'connecting') return;
      const listener = this.#listenerAt(address);
      if (listener === undefined) stream.fail(Errno.ECONNREFUSED);
      else if (hasRoom(listener)) this.#join(stream, listener, reached(address));
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
      const isFile = !address.path.startsWith('\0');
      return isFile && this.#at(address).length === 0 ? -Errno.ENOENT : -Errno.ECONNREFUSED;
    }
    if (!hasRoom(listener)) return -Errno.EAGAIN;
    this.#join(stream, listener, address);
    return 0;
  }

  #join(client: Stream, listener: Stream, address: SocketAddress): void {
    const server = new Stream(this.#simulation, client.family);
    server.local = address;
    server.remote = client.local;
    client.remote = address;
    client.join(server);
    listener.backlog.push(server);
  }

  #listenerAt(address: SocketAddress): Stream | undefined {
    const listeners = this.#at(address).filter((stream) => stream.phase === 'listening');
    return this.#simulation.random.pick(listeners);
  }

  /** Whoever has that address. */
  #at(address: SocketAddress): Stream[] {
    return [...this.#bound.keys()].filter(({ local }) => local && isSame(local, address));
  }

  #withPort(address: InetAddress): InetAddress {
    for (;;) {
      const candidate = { ...address, port: this.#nextPort };
      this.#nextPort = this.#nextPort === LAST_PORT ? FIRST_FREE_PORT : this.#nextPort + 1;
      if (this.#at(candidate).length === 0) return candidate;
    }
  }

  #after(ms: number, fn: () => void): void {
    this.#simulation.at(this.#simulation.nowMs + ms, fn);
  }
}

/** One more than the backlog says, as on Linux. */
function hasRoom(listener: Stream): boolean {
  return listener.backlog.length <= listener.backlogLimit;
}

function isSame(a: SocketAddress, b: SocketAddress): boolean {
  if ('path' in a || 'path' in b) return 'path' in a && 'path' in b && a.path === b.path;
  if (a.family !== b.family || a.port !== b.port) return false;
  return a.host === b.host || [a.host, b.host].includes(anyAddress(a.family).host);
}

function anyAddress(family: InetAddress['family']): InetAddress {
  return { host: family === 'IPv4' ? '0.0.0.0' : '::', port: 0, family };
}

/** Where a connection to that address ends: to any host is to this one. */
function reached(address: InetAddress): InetAddress {
  const { family, host } = address;
  const loopback = family === 'IPv4' ? '127.0.0.1' : '::1';
  return host === anyAddress(family).host ? { ...address, host: loopback } : address;
}

function familyOf(address: SocketAddress): number {
  if ('path' in address) return constants.AF_UNIX;
  return address.family === 'IPv4' ? constants.AF_INET : constants.AF_INET6;
}
