/** The transports of a loop, by descriptor, and what the backend watches for each. */
import { holderOf, Socket } from '../sockets/socket';
import { typeError } from '../system/arguments';
import { Errno } from '../system/constants';
import { SystemError } from '../system/errors';
import type { Kernel } from '../system/kernel';
import type { Backend } from '../system/readiness';
import { Flag } from '../transport/phase';
import type { Transport } from '../transport/transport';

const { broken, changed, member } = Flag;

export class Registrations {
  readonly #kernel: Kernel;
  readonly #backend: Backend;
  readonly #byDescriptor: (Transport | undefined)[] = [];
  readonly #withoutDescriptor = new Set<Transport>();
  /** How many are under a descriptor. */
  #count = 0;
  /** Whose interest may have changed since the last wait. */
  #changed: Transport[] = [];
  readonly #raise: (error: unknown) => void;

  /** `raise` takes what the owner of a transport throws, so that the others are spared. */
  constructor(kernel: Kernel, backend: Backend, raise: (error: unknown) => void) {
    this.#kernel = kernel;
    this.#backend = backend;
    this.#raise = raise;
  }

  get isEmpty(): boolean {
    return this.#count === 0 && this.#withoutDescriptor.size === 0;
  }

  /** A copy: those without a descriptor first, then by descriptor. */
  members(): Transport[] {
    const withDescriptor = this.#byDescriptor.filter((transport) => transport !== undefined);
    return [...this.#withoutDescriptor, ...withDescriptor];
  }

  /** The transport that an event is for; undefined where there is none, or it is a predecessor's. */
  recipient(fd: number, turn: number): Transport | undefined {
    const transport = this.#byDescriptor[fd];
    return transport?.registeredInTurn === turn ? undefined : transport;
  }

  holder(fd: number): Transport | undefined {
    return this.#byDescriptor[fd];
  }

  add(transport: Transport, turn: number): void {
    const { socket } = transport;
    const fd = socket?.fileno() ?? -1;
    if (fd < 0) {
      this.#withoutDescriptor.add(transport);
      transport.flags |= member;
      return;
    }
    if (socket instanceof Socket) this.#claim(socket, transport);
    const holder = this.#byDescriptor[fd];
    if (holder !== undefined) {
      if (holder.socket === socket) {
        throw new Error(`addHandler: descriptor ${fd} is in this map already`);
      }
      // The kernel has given the number out again, so others have closed the holder's descriptor.
      holder.lose();
    }
    this.#withoutDescriptor.delete(transport);
    transport.fd = fd;
    transport.mask = 0;
    transport.registeredInTurn = turn;
    transport.flags |= member;
    this.#byDescriptor[fd] = transport;
    this.#count++;
  }

  /** Throws where another handler has the socket, of whatever map. */
  #claim(socket: Socket, transport: Transport): void {
    if ((socket.kernel.whole ?? socket.kernel) !== this.#kernel) {
      throw typeError('sock', socket, 'of the same kernel, real or simulated, as the map');
    }
    const other = socket[holderOf];
    if (other !== undefined && other !== transport && other.isMember) {
      throw new Error(
        `addHandler: the socket of descriptor ${socket.fileno()} has a handler already, in this ` +
          'map or in another; close that one, or take it out with delHandler, before',
      );
    }
    socket[holderOf] = transport;
  }

  remove(transport: Transport): void {
    this.#withoutDescriptor.delete(transport);
    transport.flags &= ~member;
    // Not what the socket says now: others may have closed it.
    const { fd, mask } = transport;
    if (fd < 0) return;
    transport.fd = -1;
    transport.mask = 0;
    this.#byDescriptor[fd] = undefined;
    this.#count--;
    if (mask !== 0) this.#backend.remove(fd);
  }

  interestChanged(transport: Transport): void {
    if (transport.flags & changed) return;
    transport.flags |= changed;
    this.#changed.push(transport);
  }

  /** Has the backend watch what is of interest now. Interest that is as before costs no call. */
  flushChanges(): void {
    if (this.#changed.length === 0) return;
    const transports = this.#changed;
    this.#changed = [];
    for (const transport of transports) {
      try {
        this.#flushChange(transport);
      } catch (error) {
        // A notifier may throw for one transport.
        this.#raise(error);
      }
    }
  }

  #flushChange(transport: Transport): void {
    transport.flags &= ~changed;
    if (transport.fd >= 0) this.#watch(transport);
  }

  #watch(transport: Transport): void {
    const { fd, mask } = transport;
    const wanted = transport.interest();
    if (mask === 0 && wanted === 0) return;
    const backend = this.#backend;
    const result =
      mask === 0
        ? backend.add(fd, wanted)
        : wanted === 0
          ? backend.remove(fd)
          : backend.modify(fd, wanted);
    if (result >= 0) {
      transport.mask = wanted;
      if (mask === 0) transport.begin();
      return;
    }
    // Out of memory or of watches (epoll_ctl(2)), or not open. A descriptor that the backend watched
    // and does not know any more was closed by others, and its number may be another's.
    const isForgotten = mask !== 0 && result !== Errno.outOfMemory;
    const errno = isForgotten ? Errno.badDescriptor : result;
    transport.failure ??= new SystemError(`${backend.name} registration`, errno);
    // It gets no events, so it ends at once, unread bytes or not.
    transport.flags &= ~broken;
    transport.loop.pendingLater(transport);
  }
}
