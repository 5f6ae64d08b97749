/**
 * Transport: owns the state of one descriptor, between a loop and a handler. This file holds what
 * every kind shares: the phase, the registration, the socket, and how it closes.
 */
import { AsyncResource } from 'node:async_hooks';

import type { Socket, SocketHolder, SocketSurface } from '../sockets/socket';
import { checkInteger, typeError } from '../system/arguments';
import { Errno } from '../system/constants';
import { closedError, noSocketError, SystemError } from '../system/errors';
import { POLLIN, POLLOUT, POLLRDHUP } from '../system/readiness';

import type { Callbacks, Owner } from './callbacks';
import type { Loop } from './loop';
import { changed, Flag, Phase } from './phase';

const { closed, connecting, ending, failed, halfClosed, listening, open, unconnected } = Phase;
const { broken, endRequested, flushDue, hungUp, inputParked, inputShut, member } = Flag;
const { outputShut, readable, writable } = Flag;

/** Accepted sockets that no transport has taken over yet. */
export const unclaimed = new WeakSet<SocketSurface>();

/** Destroyed when it is closed, not when it is collected. */
const OF_HANDLER = { requireManualDestroy: true };

/**
 * The loop knows a transport by `interest`, `ready`, `pending`, `flush`, `close` and the three
 * numbers of its registration. All else is for the handler above, its owner. It is the asynchronous
 * resource in whose scope all callbacks of the owner run.
 */
export abstract class Transport<O extends Owner = Owner>
  extends AsyncResource
  implements SocketHolder
{
  /** The descriptor that it is registered under; -1 where under none. */
  fd = -1;
  /** What the backend watches the descriptor for; 0: it is not watched. */
  mask = 0;
  /** The turn in which it was registered: an event of that turn is for a predecessor. */
  registeredInTurn = 0;
  phase: Phase = unconnected;
  /** A set of `Flag`. */
  flags = 0;
  /** Undefined until there is one. */
  socket: SocketSurface | undefined = undefined;
  /** What a transfer, the attempt to connect or the registration failed with. */
  declare failure: SystemError | undefined;
  readonly loop: Loop<Transport>;
  readonly owner: O;
  callbacks: Callbacks;

  static {
    // On the prototype, as the rare fields of the classes below: there they cost no memory.
    this.prototype.failure = undefined;
  }

  constructor(loop: Loop<Transport>, owner: O) {
    super('asynchia.Handler', OF_HANDLER);
    this.loop = loop;
    this.owner = owner;
    this.callbacks = loop.notifier;
  }

  /** What to watch the descriptor for, in poll(2)'s bits; 0: nothing. Called before a wait. */
  abstract interest(): number;
  /** A wait has reported these bits. Interest that was withdrawn since the wait is respected. */
  abstract ready(bits: number): void;
  /** Handles what is there without an event, after `loop.pendingLater`: a failure, an end. */
  abstract pending(): void;
  /** Sends what a callback left to send, after `loop.flushLater`. */
  flush(): void {}

  /** The backend begins to watch the descriptor, or there is none to watch yet. */
  begin(): void {}
  /** It is registered again after it was deregistered. */
  resume(): void {}
  /** The handler has read by means that it does not see. */
  noteRead(): void {
    this.openSocket('noteRead');
  }
  /** How many bytes were received and not delivered, and accepted for sending and not sent. */
  bufferedBytes(): { readonly in: number; readonly out: number } {
    return { in: 0, out: 0 };
  }

  get isMember(): boolean {
    return (this.flags & member) !== 0;
  }

  get isClosed(): boolean {
    return this.phase === closed;
  }

  get isConnecting(): boolean {
    return this.phase === connecting;
  }

  /** Whether there is a connection. */
  get isConnected(): boolean {
    return this.phase >= open && this.phase < closed;
  }

  /** Whether the handler wants input, and some may still come. */
  get wantsInput(): boolean {
    const { flags, phase } = this;
    const isOver = phase === failed || phase >= halfClosed || flags & (inputShut | endRequested);
    return !isOver && (flags & readable) !== 0;
  }

  /** Whether the handler wants to send, and still can. */
  get wantsOutput(): boolean {
    const { flags, phase } = this;
    const isOver = phase === failed || phase >= ending || flags & (broken | outputShut);
    return !isOver && (flags & writable) !== 0;
  }

  enter(next: Phase): void {
    this.phase = changed(this.phase, next);
  }

  /** Takes a socket. */
  attach(socket: SocketSurface): void {
    const fd = socket.fileno();
    if (fd < 0) throw new SystemError('fcntl', Errno.badDescriptor);
    checkInteger('sock.fileno()', fd);
    this.socket = socket;
    // A transport that was deregistered while its name was looked up stays deregistered.
    if (this.isMember) this.loop.register(this);
    if (socket.role === 'connected') this.enter(open);
    if (socket.role === 'listening') this.enter(listening);
    unclaimed.delete(socket);
  }

  /** Closes the socket of a failed attempt, so that another can take its place. */
  dropSocket(): void {
    const { isMember, socket } = this;
    this.loop.deregister(this);
    this.socket = undefined;
    socket?.close();
    if (isMember) this.loop.register(this);
  }

  /** The socket that `method` needs. Throws where there is none yet, or no longer. */
  openSocket(method: string): SocketSurface {
    const { socket } = this;
    if (socket === undefined || this.phase === closed) throw this.#unusable(method);
    return socket;
  }

  setReadable(isWanted: boolean): void {
    if (!this.#wish('setReadable', 'readable', readable, isWanted)) return;
    // While it was paused, an end was not delivered: the descriptor is watched again.
    if (isWanted) this.flags &= ~(inputParked | hungUp);
    this.#wishChanged();
  }

  setWritable(isWanted: boolean): void {
    if (this.#wish('setWritable', 'writable', writable, isWanted)) this.#wishChanged();
  }

  /** Takes back the wishes that `bits` are reported for, also that to send what is buffered. */
  pause(bits: number): void {
    if (bits & POLLIN) this.flags &= ~readable;
    if (bits & POLLOUT) this.flags &= ~writable;
    this.#wishChanged();
  }

  /**
   * Closes the descriptor, and has `handleCleanup` called, even where the last output, a socket of
   * another make or a notifier throws. Closing again does nothing.
   */
  close(): void {
    if (this.phase === closed) return;
    try {
      this.beforeClose();
    } finally {
      // Deregistered first: once closed, the number may be another descriptor's.
      this.loop.deregister(this);
      const last = this.phase;
      this.enter(closed);
      try {
        this.closeSocket(last);
      } finally {
        this.release();
        this.loop.asCallback(() => {
          this.callbacks.cleanupObj(this.owner);
        });
        this.emitDestroy();
      }
    }
  }

  /**
   * The program closes the socket, or gives its descriptor away, past its handler, which ends in the
   * next turn. It is deregistered now, as the number may soon be another descriptor's.
   */
  socketGone(socket: Socket): void {
    const { isMember, phase } = this;
    if (this.socket !== socket || phase === failed || phase >= ending) return;
    this.loop.deregister(this);
    this.failure = new SystemError('poll', Errno.badDescriptor);
    // Nothing can be read or sent, in the rest of this turn either.
    this.flags = (this.flags & ~(readable | writable | flushDue)) | broken;
    if (!isMember) return;
    this.loop.register(this);
    this.loop.pendingLater(this);
  }

  /** The descriptor was closed by others. Its number may be another's, so it is not closed again. */
  lose(): void {
    if (this.phase === closed) return;
    this.loop.deregister(this);
    this.enter(this.isConnected ? ending : failed);
    this.socket?.detach();
    try {
      this.callbacks.errorObj(this.owner, new SystemError('poll', Errno.badDescriptor));
    } finally {
      this.close();
    }
  }

  /** Whether others have closed the descriptor, or have given it away. */
  protected get isLost(): boolean {
    if (this.failure?.errno !== Errno.badDescriptor) return false;
    return this.fd >= 0 || (this.socket?.fileno() ?? 0) < 0;
  }

  protected beforeClose(): void {}

  protected closeSocket(_last: Phase): void {
    this.socket?.close();
  }

  /** Gives back what a closed transport no longer needs. */
  protected release(): void {}

  /** Whether a callback of this kind may be called now. */
  protected wants(flag: number): boolean {
    return (
      (this.flags & (member | flag)) === (member | flag) &&
      this.phase >= listening &&
      this.phase <= halfClosed
    );
  }

  /** What `ready` does in phase `listening`. */
  protected readyToAccept(bits: number): void {
    if (bits & POLLIN && this.wants(readable)) this.callbacks.readObj(this.owner);
  }

  /** Returns whether anything has changed. */
  #wish(method: string, name: string, flag: number, isWanted: unknown): boolean {
    if (typeof isWanted !== 'boolean') throw typeError(name, isWanted, 'a boolean');
    if (this.phase === closed) throw this.#unusable(method);
    const before = this.flags;
    this.flags = isWanted ? before | flag : before & ~flag;
    return this.flags !== before;
  }

  #wishChanged(): void {
    if (!this.isMember) return;
    this.loop.interestChanged(this);
    if (this.flags & (broken | hungUp)) this.loop.pendingLater(this);
  }

  #unusable(method: string): Error {
    const makeError = this.phase === closed ? closedError : noSocketError;
    return makeError(method, this.owner.constructor.name);
  }
}

/** What listens is watched for connections and for its own end only, and not while it rests. */
export function listeningInterest({ flags }: Transport): number {
  return (flags & (readable | inputParked)) === readable ? POLLIN | POLLRDHUP : 0;
}
