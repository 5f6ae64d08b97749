/** The simulated kernel: a descriptor table, and the kernel calls over it. */
import { binding } from '../system/binding';
import type { Kernel, LoopBackend, SocketFile } from '../system/kernel';
import { unpackAddress } from '../sockets/address';
import type { SocketAddress } from '../system/address-types';
import { constants } from '../system/constants';
import type { LookupResult } from '../sockets/lookups';

import { Errno, Wakeup, type Description } from './description';
import { Network } from './network';
import { SimBackend } from './sim-backend';
import { getOption, integerOption, setOption } from './socket-options';
import type { Simulation } from './simulation';
import { Stream } from './stream';

/** The first descriptor after standard input, output and error. */
const FIRST_FD = 3;
/** How many bytes one read returns at most. */
const MOST_READ_BYTES = 32 * 1024;
/** How often a connection attempt is repeated: net.ipv4.tcp_syn_retries (tcp(7)). */
const CONNECT_RETRIES = 6;
/** The addresses of `localhost`. */
const LOOPBACK = ['::1', '127.0.0.1'] as const;

/** The kernel of a simulated map. */
export class SimKernel implements Kernel {
  readonly #simulation: Simulation;
  readonly #network: Network;
  /** The open file description of each descriptor. */
  readonly #table: (Description | undefined)[] = [];
  /** The results of look-ups that were not fetched yet. */
  readonly #resolved = new Map<number, LookupResult>();
  #lastLookup = 0;
  /** The peer of the connection that was accepted last. */
  #acceptedAddress: SocketAddress = { path: '' };

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#network = new Network(simulation);
  }

  monotonicMs(): number {
    return this.#simulation.nowMs;
  }

  createBackend(): LoopBackend {
    return new SimBackend(this.#simulation, (fd) => this.#table[fd]);
  }

  socket(family: number, type: number): number {
    const isKnown = [constants.AF_INET, constants.AF_INET6, constants.AF_UNIX].includes(family);
    if (!isKnown) return -Errno.EAFNOSUPPORT;
    if (type !== constants.SOCK_STREAM) return -Errno.EPROTONOSUPPORT;
    const fd = this.#open(new Stream(this.#simulation, family));
    this.#simulation.traceCall('socket', [family], fd);
    return fd;
  }

  socketpair(family: number, type: number, pair: Int32Array): number {
    if (family !== constants.AF_UNIX) return -Errno.EOPNOTSUPP;
    if (type !== constants.SOCK_STREAM) return -Errno.EPROTONOSUPPORT;
    const ends = [0, 1].map(() => new Stream(this.#simulation, family)) as [Stream, Stream];
    for (const end of ends) end.local = end.remote = { path: '' };
    ends[0].connectTo(ends[1]);
    pair.set(ends.map((end) => this.#open(end)));
    this.#simulation.traceCall('socketpair', [...pair], 0);
    return 0;
  }

  disown(): number {
    return 0;
  }

  close(fd: number): number {
    const description = this.#table[fd];
    if (description === undefined) return -Errno.EBADF;
    this.#simulation.traceCall('close', [fd], 0);
    this.#table[fd] = undefined;
    description.close();
    if (description instanceof Stream) this.#network.release(description);
    return 0;
  }

  bind(fd: number, packed: Uint8Array): number {
    const address = unpackAddress(Buffer.from(packed));
    return this.#call('bind', fd, address, (stream) => {
      const isShared = integerOption(stream, constants.SOL_SOCKET, constants.SO_REUSEPORT) !== 0;
      return this.#network.bind(stream, address, isShared);
    });
  }

  socketFile(path: string | Buffer): SocketFile | undefined {
    return this.#network.socketFile(path);
  }

  connect(fd: number, packed: Uint8Array): number {
    const address = unpackAddress(Buffer.from(packed));
    return this.#call('connect', fd, address, (stream) => {
      const retries = integerOption(stream, constants.IPPROTO_TCP, constants.TCP_SYNCNT);
      return this.#network.connect(stream, address, retries || CONNECT_RETRIES);
    });
  }

  listen(fd: number, backlog: number): number {
    return this.#call('listen', fd, backlog, (stream) => this.#network.listen(stream, backlog));
  }

  accept(fd: number): number {
    return this.#call('accept', fd, undefined, (stream) => {
      const accepted = stream.accept();
      if (typeof accepted === 'number') return accepted;
      this.#acceptedAddress = accepted.remote ?? { path: '' };
      return this.#open(accepted);
    });
  }

  acceptedAddress(): SocketAddress {
    return this.#acceptedAddress;
  }

  shutdown(fd: number, how: number): number {
    return this.#call('shutdown', fd, how, (stream) => stream.shutdown(how));
  }

  getsockname(fd: number): SocketAddress | number {
    return this.#call('getsockname', fd, undefined, (stream) => stream.local ?? unnamed(stream));
  }

  getpeername(fd: number): SocketAddress | number {
    return this.#call('getpeername', fd, undefined, (stream) => {
      const isConnected = stream.phase === 'connected';
      return isConnected && stream.remote !== undefined ? stream.remote : -Errno.ENOTCONN;
    });
  }

  getsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
    return this.#call('getsockopt', fd, option, (stream) => {
      const bytes = getOption(stream, level, option);
      value.set(bytes.subarray(0, value.length));
      return Math.min(bytes.length, value.length);
    });
  }

  setsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
    return this.#call('setsockopt', fd, option, (stream) => {
      setOption(stream, level, option, value);
      return 0;
    });
  }

  read(fd: number, most: number, flags: number): Buffer | number {
    const bytes = Buffer.alloc(Math.min(most, MOST_READ_BYTES));
    const count = this.recv(fd, bytes, 0, bytes.length, flags);
    return count > 0 ? bytes.subarray(0, count) : count;
  }

  recv(fd: number, bytes: Uint8Array, offset: number, length: number, flags: number): number {
    const into = bytes.subarray(offset, offset + length);
    const name = flags & constants.MSG_PEEK ? 'peek' : 'recv';
    return this.#call(name, fd, length, (stream) => stream.receive(into, flags));
  }

  send(fd: number, bytes: Uint8Array, offset: number, length: number, flags: number): number {
    const from = bytes.subarray(offset, offset + length);
    return this.#call('send', fd, length, (stream) => stream.send(from, flags));
  }

  sendMany(fd: number, parts: readonly Uint8Array[], offset: number): number {
    const whole = Buffer.concat(parts);
    return this.send(fd, whole, offset, whole.length - offset, 0);
  }

  unread(fd: number): number {
    return this.recv(fd, new Uint8Array(1), 0, 1, constants.MSG_PEEK);
  }

  unacknowledged(fd: number): number {
    return this.#call('ioctl', fd, undefined, (stream) => stream.unacknowledged);
  }

  packInet(host: string, port: number, isName: boolean): Buffer | undefined {
    // RFC 6761, 6.3: names under localhost are this machine. No other names exist here.
    const isLocal = isName && /(^|\.)localhost\.?$/i.test(host);
    return binding.packInet(isLocal ? LOOPBACK[1] : host, port, false);
  }

  resolve(host: string, wakeupFd: number): number {
    const lookup = ++this.#lastLookup;
    const { nowMs } = this.#simulation;
    this.#simulation.schedule(nowMs + this.#simulation.delayMs(), () => {
      const isKnown = this.packInet(host, 0, true) !== undefined;
      const addresses = LOOPBACK.map((each) => binding.packInet(each, 0, false));
      const found = isKnown ? addresses.filter((each) => each !== undefined) : 'ENOTFOUND';
      this.#resolved.set(lookup, found);
      const wakeup = this.#table[wakeupFd];
      if (wakeup instanceof Wakeup) wakeup.isWritten = true;
    });
    return lookup;
  }

  resolved(lookup: number): LookupResult | undefined {
    const result = this.#resolved.get(lookup);
    this.#resolved.delete(lookup);
    return result;
  }

  /** A look-up that is under way still completes; its result is kept until the simulation ends. */
  dropLookup(lookup: number): void {
    this.#resolved.delete(lookup);
  }

  createWakeup(): number {
    return this.#open(new Wakeup());
  }

  /** For wakers, which other threads use: a simulated map has one thread. */
  duplicate(): number {
    return -Errno.ENOSYS;
  }

  drainWakeup(fd: number): number {
    this.#table[fd]?.close();
    return 0;
  }

  /** A simulated map does not block. */
  createInterrupt(): number {
    return -Errno.ENOSYS;
  }

  drainInterrupt(): number {
    return -Errno.ENOSYS;
  }

  createSignals(): number {
    return -Errno.ENOSYS;
  }

  /** Returns the lowest free descriptor, for `description`. */
  #open(description: Description): number {
    let fd = FIRST_FD;
    while (this.#table[fd] !== undefined) fd++;
    this.#table[fd] = description;
    return fd;
  }

  /** Makes a call on a socket, and traces it. `argument` is the one that the trace shows. */
  #call<T>(
    name: string,
    fd: number,
    argument: number | SocketAddress | undefined,
    call: (stream: Stream) => T | number,
  ): T | number {
    const description = this.#table[fd];
    const result =
      description === undefined
        ? -Errno.EBADF
        : description instanceof Stream
          ? call(description)
          : -Errno.ENOTSOCK;
    this.#simulation.traceCall(name, [fd, argument], result);
    return result;
  }
}

/** What getsockname(2) returns for a socket that is not bound. */
function unnamed({ family, isUnix }: Stream): SocketAddress {
  if (isUnix) return { path: '' };
  return family === constants.AF_INET
    ? { host: '0.0.0.0', port: 0, family: 'IPv4' }
    : { host: '::', port: 0, family: 'IPv6' };
}
