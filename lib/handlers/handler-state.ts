/**
 * A handler's state, for the loop alone: symbols, so that no subclass can collide with it, and one
 * integer of bits, so that a handler costs little memory and asking costs nothing.
 */

/** The key of a handler's state bits. */
export const state: unique symbol = Symbol('state');
/** The key of a handler's socket; undefined until it has one. */
export const socketOf: unique symbol = Symbol('socket');
/** The key of the descriptor that the map has a handler under; -1 where under none. */
export const watched: unique symbol = Symbol('watched');
/** The key of what a handler's transfers, its connecting or its watching failed with. */
export const failure: unique symbol = Symbol('failure');
/** The key of a method: how many bytes that were accepted for sending still wait. */
export const unsentBytes: unique symbol = Symbol('unsentBytes');
/** The key of a method: `sendAll` of several pieces as one. */
export const sendPieces: unique symbol = Symbol('sendPieces');
/** The key of a method: whether the handler waits to be told that it can write again: not one that has shut it down. */
export const awaitsOutput: unique symbol = Symbol('awaitsOutput');
/** The key of a method: sends what a callback has left to send. */
export const flush: unique symbol = Symbol('flush');
/** The key of a method: sends what a callback has held back to leave together, without waiting. */
export const sendHeld: unique symbol = Symbol('sendHeld');
/** The key of a method: whether the handler, of which all is told, stays until its output is sent. */
export const linger: unique symbol = Symbol('linger');
/** The key of a method: whether input that was taken from the socket still waits to be told. */
export const hasUntold: unique symbol = Symbol('hasUntold');
/** The key of a method: has that input told, where it is wanted, in the next turn. */
export const tellHeld: unique symbol = Symbol('tellHeld');
/** The key of a method: the handler begins to be watched. */
export const entered: unique symbol = Symbol('entered');
/** The key of an idle time-out; undefined where there is none. */
export const idleWatch: unique symbol = Symbol('idleWatch');
/** The key of a method: how many bytes were taken from the socket and are kept, told or not. */
export const heldBytes: unique symbol = Symbol('heldBytes');
/** The key of a method: lets go of what a closed handler no longer needs. */
export const release: unique symbol = Symbol('release');
/** The key of a method: what became of a connection attempt. */
export const settleConnect: unique symbol = Symbol('settleConnect');
/** The key of a method: what becomes of a listener that the map cannot watch. */
export const unwatched: unique symbol = Symbol('unwatched');
/** The key of a map's inner side, the one that handlers talk to. */
export const registry: unique symbol = Symbol('registry');

export const State = {
  /** `setReadable(true)`. */
  readable: 1 << 0,
  /** `setWritable(true)`. */
  writable: 1 << 1,
  /** The socket can be watched: connected, or no stream that would have to be. */
  open: 1 << 2,
  /** `connect` is under way. */
  connecting: 1 << 3,
  /** The socket accepts connections. */
  listening: 1 << 4,
  /** In the map, with a descriptor or without. */
  member: 1 << 5,
  /** The peer has ended its side, and all it sent was read. */
  readEnded: 1 << 6,
  /** Bytes lie unread before an end, and the handler is paused: not watched until it reads. */
  parked: 1 << 7,
  /** Both directions are closed: writing has no point, and must not be woken for. */
  hungUp: 1 << 8,
  /** Urgent data was told, and would be told again and again until something is read. */
  urgentTold: 1 << 9,
  /** A transfer failed: the handler ends as soon as all that came before is read. */
  failed: 1 << 10,
  /** Being ended: nothing but `handleClose` and `handleCleanup` is still to come. */
  ending: 1 << 11,
  /** Over. */
  closed: 1 << 12,
  /** We shut down our reading side: an end that is reported is our own. */
  readShut: 1 << 13,
  /** We shut down our writing side. */
  writeEnded: 1 << 14,
  /** Ended by us: what still comes is thrown away. */
  ended: 1 << 15,
  /** All is told but the cleanup, which waits for output to be sent, or for the peer's end. */
  lingering: 1 << 16,
  /** Interest may have changed since the last wait. */
  dirty: 1 << 17,
  /** The handler has an idle time-out, which is to be told when bytes move. */
  timed: 1 << 18,
  /** Writing is to be shut down as soon as all is sent. */
  shutdownDue: 1 << 19,
} as const;

/** What a socket's role makes of the handler that is given it. */
export const roleBits = {
  unconnected: 0,
  connected: State.open,
  listening: State.open | State.listening,
} as const;
