/** The simulated kernel: descriptors, and the calls that the real one has for them. */
import { binding } from '../system/binding';
import type { Kernel, LoopBackend } from '../system/kernel';
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

/** The first number that is not standard input, output or error. */
const FIRST_FD = 3;
/** What one read brings at most. */
const MOST_READ_BYTES = 32 * 1024;
/** net.ipv4.tcp_syn_retries. */
const CONNECT_RETRIES = 6;
const LOOPBACK = ['::1', '127.0.0.1'] as const;

export class SimKernel implements Kernel {
  readonly #simulation: Simulation;
  readonly #network: Network;
  readonly #table: (Description | undefined)[] = [];
  readonly #resolved = new Map<number, LookupResult>();
  #lastLookup = 0;
  #accepted: SocketAddress = { path: '' };

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
    this.#simulation.tell('socket', [family], fd);
    return fd;
  }

  socketpair(family: number, type: number, pair: Int32Array): number {
    if (family !== constants.AF_UNIX) return -Errno.EOPNOTSUPP;
    if (type !== constants.SOCK_STREAM) return -Errno.EPROTONOSUPPORT;
    const ends = [0, 1].map(() => new Stream(this.#simulation, family)) as [Stream, Stream];
    for (const end of ends) end.local = end.remote = { path: '' };
    ends[0].join(ends[1]);
    pair.set(ends.map((end) => this.#open(end)));
    this.#simulation.tell('socketpair', [...pair], 0);
    return 0;
  }

  disown(): number {
    return 0;
  }

  close(fd: number): number {
    const description = this.#table[fd];
    if (description === undefined) return -Errno.EBADF;
    this.#simulation.tell('close', [fd], 0);
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

  connect(fd: number, packed: Uint8Array): number {
    const address = unpackAddress(Buffer.from(packed));
    return this.#call('connect', fd, address, (stream) => {
      const asked = integerOption(stream, constants.IPPROTO_TCP, constants.TCP_SYNCNT);
      return this.#network.connect(stream, address, asked || CONNECT_RETRIES);
    });
  }

  listen(fd: number, backlog: number): number {
    return this.#call('listen', fd, backlog, (stream) => this.#network.listen(stream, backlog));
  }

  accept(fd: number): number {
    return this.#call('accept', fd, undefined, (stream) => {
      const accepted = stream.accept();
      if (typeof accepted === 'number') return accepted;
      this.#accepted = accepted.remote ?? { path: '' };
      return this.#open(accepted);
    });
  }

  acceptedAddress(): SocketAddress {
    return this.#accepted;
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
    // RFC 6761, 6.3: names under localhost are this machine; there are no others here.
    const isHere = isName && /(^|\.)localhost\.?$/i.test(host);
    return binding.packInet(isHere ? LOOPBACK[1] : host, port, false);
  }

  resolve(host: string, wakeupFd: number): number {
    const lookup = ++this.#lastLookup;
    const { nowMs } = this.#simulation;
    this.#simulation.at(nowMs + this.#simulation.delayMs(), () => {
      const isHere = this.packInet(host, 0, true) !== undefined;
      const addresses = LOOPBACK.map((each) => binding.packInet(each, 0, false));
      const found = isHere ? addresses.filter((each) => each !== undefined) : 'ENOTFOUND';
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

  /** What is under way comes to pass all the same, and ends with the simulation. */
  dropLookup(lookup: number): void {
    this.#resolved.delete(lookup);
  }

  createWakeup(): number {
    return this.#open(new Wakeup());
  }

  /** For wakers, with which other threads reach a map: there are none in a simulation. */
  duplicate(): number {
    return -Errno.ENOSYS;
  }

  drainWakeup(fd: number): number {
    this.#table[fd]?.close();
    return 0;
  }

  createInterrupt(): number {
    return this.createWakeup();
  }

  drainInterrupt(fd: number): number {
    return this.drainWakeup(fd);
  }

  /** Gives out the lowest number that is free. */
  #open(description: Description): number {
    let fd = FIRST_FD;
    while (this.#table[fd] !== undefined) fd++;
    this.#table[fd] = description;
    return fd;
  }

  /** A call for a socket, and a line of the trace; `about` is its argument. */
  #call<T>(
    name: string,
    fd: number,
    about: number | SocketAddress | undefined,
    call: (stream: Stream) => T | number,
  ): T | number {
    const description = this.#table[fd];
    const result =
      description === undefined
        ? -Errno.EBADF
        : description instanceof Stream
          ? call(description)
          : -Errno.ENOTSOCK;
    this.#simulation.tell(name, [fd, about], result);
    return result;
  }
}

/** What getsockname(2) tells of a socket that has no address yet. */
function unnamed({ family, isUnix }: Stream): SocketAddress {
  if (isUnix) return { path: '' };
  return family === constants.AF_INET
    ? { host: '0.0.0.0', port: 0, family: 'IPv4' }
    : { host: '::', port: 0, family: 'IPv6' };
}
