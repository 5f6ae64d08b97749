/** Reading: receives bytes, and keeps those that a protocol has received and not delivered. */
import { constants, Errno, WOULD_BLOCK } from '../system/constants';
import { SystemError } from '../system/errors';

import type { IdleOwner, IdleTimeout } from './idle';
import { Flag } from './phase';
import { Transport } from './transport';

const { broken, endRequested, hungUp, inputParked, member, raised, readable } = Flag;
const { urgentNotified } = Flag;

const NOTHING = Buffer.alloc(0);

/** What lasts until something is read: most of it stops the watching for input. */
const UNTIL_READ = inputParked | hungUp | urgentNotified | broken | raised;

const DELIVERING = member | readable | endRequested;

/** Failures that are the program's mistake and not the end of a connection: thrown at the call. */
const MISUSE: ReadonlySet<string> = new Set([
  'EBADF',
  'EDESTADDRREQ',
  'EFAULT',
  'EINVAL',
  'ENOTCONN',
  'ENOTSOCK',
  'ENOTSUP',
]);

/** Input that was taken from the socket, and that a protocol keeps to deliver it. */
export interface HeldInput {
  /** In bytes. */
  readonly length: number;
  /** Whether some of it can be delivered as it is: the end of the stream waits for that. */
  isDeliverable(): boolean;
  /** Delivers it in the next turn, as far as the handler reads then. */
  deliverLater(): void;
}

export abstract class ReadingTransport<O extends IdleOwner> extends Transport<O> {
  /** Undefined where the handler keeps none. */
  held: HeldInput | undefined = undefined;
  /** Undefined where the handler has never had an idle time-out. */
  idle: IdleTimeout | undefined = undefined;

  /** Whether received input may be delivered now. */
  get isReading(): boolean {
    const { flags } = this;
    return (flags & DELIVERING) === (member | readable) && !this.isClosed;
  }

  /** Whether input is still to be delivered that is in the socket no more. */
  protected get hasDeliverable(): boolean {
    const { held } = this;
    if (held === undefined || held.length === 0 || this.flags & endRequested) return false;
    return held.isDeliverable();
  }

  override setReadable(isWanted: boolean): void {
    super.setReadable(isWanted);
    if (isWanted && this.hasDeliverable) this.held?.deliverLater();
  }

  override resume(): void {
    super.resume();
    if (this.flags & readable && this.hasDeliverable) this.held?.deliverLater();
  }

  /** Receives at most `n` bytes; empty where there are none, or the connection broke. */
  read(method: string, n: number, flags: number): Buffer {
    const socket = this.openSocket(method);
    let bytes;
    try {
      bytes = socket.recv(n, flags);
    } catch (error) {
      this.fail(error);
      return NOTHING;
    }
    const result = bytes ?? NOTHING;
    if (this.idle !== undefined || (this.flags & (readable | UNTIL_READ)) !== readable) {
      if (n > 0 && !(flags & constants.MSG_PEEK)) this.#received(result.length);
    }
    return result;
  }

  /** Receives into `buffer`. Returns how many bytes, 0 for none. */
  readInto(
    buffer: NodeJS.ArrayBufferView,
    offset?: number,
    length?: number,
    flags?: number,
  ): number {
    const socket = this.openSocket('recvInto');
    let count: number;
    try {
      count = socket.recvInto(buffer, offset, length, flags);
    } catch (error) {
      this.fail(error);
      return 0;
    }
    if (this.idle !== undefined || (this.flags & (readable | UNTIL_READ)) !== readable) {
      const wasAsked = count !== 0 || (length ?? buffer.byteLength - (offset ?? 0)) > 0;
      if (wasAsked && !((flags ?? 0) & constants.MSG_PEEK)) this.#received(count);
    }
    return count > 0 ? count : 0;
  }

  /** The handler has read by means of its own: what is still there is reported again. */
  override noteRead(): void {
    super.noteRead();
    this.#received(1);
  }

  /**
   * A transfer failed: the transport ends when all bytes that came before are read, or its attempt to
   * connect has failed. Throws `error` where it is the program's mistake.
   */
  protected fail(error: unknown): void {
    if (!(error instanceof SystemError) || MISUSE.has(error.code)) throw error;
    const { isConnecting } = this;
    // Before any attempt TCP says EPIPE.
    if (!this.isConnected && !isConnecting) {
      throw new SystemError(error.syscall, Errno.notConnected);
    }
    this.failure ??= error;
    if (!isConnecting) this.flags |= broken;
    this.loop.interestChanged(this);
    this.loop.pendingLater(this);
  }

  protected override release(): void {
    this.idle?.stop();
  }

  /** Bytes were received or sent. */
  protected bytesMoved(): void {
    this.flags &= ~raised;
    this.idle?.bytesMoved();
  }

  /** Whether there are bytes to read (above 0), the end (0), or neither (`WOULD_BLOCK`); an error. */
  protected unread(): number | SystemError {
    if (this.hasDeliverable) return 1;
    try {
      return this.socket?.unread() ?? WOULD_BLOCK;
    } catch (error) {
      if (error instanceof SystemError) return error;
      throw error;
    }
  }

  /** The descriptor is watched for input again; the kernel reports what is still there. */
  #received(count: number): void {
    if (count > 0) this.bytesMoved();
    if ((this.flags & (readable | UNTIL_READ)) === readable) return;
    this.flags &= ~(inputParked | hungUp);
    // Where nothing came, urgent data is still there, and would be reported again at once.
    if (count > 0) this.flags &= ~urgentNotified;
    this.loop.interestChanged(this);
    if (this.flags & broken) this.loop.pendingLater(this);
  }
}
