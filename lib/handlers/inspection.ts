/** The types of what `map.inspect()` returns: plain data that keeps no handler alive. */
import type { SocketAddress } from '../system/address-types';

/**
 * The state of a handler. `half-closed`: one side of the connection has ended, the other has not.
 * `closing`: the handler has ended and waits until its last bytes are sent, or until its peer ends.
 */
export type Phase =
  'unconnected' | 'connecting' | 'connected' | 'listening' | 'half-closed' | 'closing' | 'closed';

/** The last callback of a handler. */
export interface LastEvent {
  /** Its name: `'handleRead'`, also for the `handleAccept` and `lineReceived` that run in it. */
  readonly callback: string;
  /** How many seconds ago it was called. */
  readonly secondsAgo: number;
}

/** One handler, as `map.inspect()` describes it. */
export interface HandlerInspection {
  /** The name of its class. */
  readonly className: string;
  /** Its descriptor; -1 if it has none. */
  readonly descriptor: number;
  /** Its state. */
  readonly phase: Phase;
  /** The address of its own end (getsockname(2)); undefined if there is none. */
  readonly localAddress: SocketAddress | undefined;
  /** The address of its peer (getpeername(2)); undefined if there is none. */
  readonly peerAddress: SocketAddress | undefined;
  /**
   * What the map waits for on its descriptor. A handler that is readable has no `'read'` here while
   * unread bytes lie before an end of stream, or while it is a listener that has paused accepting.
   */
  readonly interest: readonly ('read' | 'write' | 'urgent')[];
  /** Bytes that were received and that the protocol still keeps: the beginning of a line. */
  readonly bufferedBytesIn: number;
  /** Bytes that were given to `sendAll` and that the kernel has not taken yet. */
  readonly bufferedBytesOut: number;
  /** Bytes received on its socket; undefined if the map is not observed. */
  readonly bytesIn: number | undefined;
  /** Bytes that the kernel has taken for sending; undefined if the map is not observed. */
  readonly bytesOut: number | undefined;
  /** Seconds since it was added to the map; undefined if the map is not observed. */
  readonly ageSeconds: number | undefined;
  /** Its last callback; undefined if it had none yet, or the map is not observed. */
  readonly lastEvent: LastEvent | undefined;
}

/** One call of a callback, and how long it held the loop. */
export interface CallbackInspection {
  /** The handler's class; undefined for a function that was given to the map. */
  readonly className: string | undefined;
  /**
   * The name of the callback: `'handleRead'`; `'flush'` for sending what a callback had given to
   * `sendAll`; `'callIn(name)'`, `'callSynchronized(name)'` or `'createWaker(name)'` for a
   * function.
   */
  readonly callback: string;
  /** The handler's descriptor at the time of the call; -1 if there was none. */
  readonly descriptor: number;
  /** The address of the handler's peer; undefined if there was none. */
  readonly peerAddress: SocketAddress | undefined;
  /** How long it ran, in seconds, without the time of the callbacks that ran within it. */
  readonly seconds: number;
}

/**
 * A map and its handlers at one moment: what `map.inspect()` returns. A map is observed if it was
 * made with `observed: true` or `slowHandlerSeconds`, or if `NODE_DEBUG` contains `asynchia`.
 */
export interface MapInspection {
  /** The mechanism: `'select'`, `'poll'`, `'epoll'`; `'sim'` for a simulated map. */
  readonly backend: string;
  /** Whether the map is closed. */
  readonly closed: boolean;
  /** Whether the map is observed: whether it counts and times its handlers. */
  readonly observed: boolean;
  /** Seconds since the map was made. */
  readonly ageSeconds: number;
  /** How many iterations the loop has made. */
  readonly turns: number;
  /** How many ready descriptors were dispatched: the sum of what `poll` returned. */
  readonly events: number;
  /** How many events were dropped: their descriptor was closed or deregistered in the meantime. */
  readonly staleEvents: number;
  /** Calls of `wakeup`, and wake-ups by wakers and by finished name look-ups. */
  readonly wakeups: number;
  /** How many seconds all callbacks have run; undefined if the map is not observed. */
  readonly callbackSeconds: number | undefined;
  /** The callback that ran longest; undefined if there was none, or the map is not observed. */
  readonly longestCallback: CallbackInspection | undefined;
  /** Its handlers: first those without a descriptor, then the others by descriptor. */
  readonly handlers: readonly HandlerInspection[];
}
