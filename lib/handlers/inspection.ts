/** What `map.inspect()` tells: plain data, which keeps nothing alive and can be printed or posted. */
import type { SocketAddress } from '../system/address-types';

/**
 * Where a handler stands: `half-closed` is one side ended and the other not, `closing` what has
 * been ended and waits for its last bytes or its peer's end.
 */
export type Phase =
  'unconnected' | 'connecting' | 'connected' | 'listening' | 'half-closed' | 'closing' | 'closed';

/** What a handler was last told, and when. */
export interface LastEvent {
  /** `'handleRead'`; `handleAccept` and `lineReceived` run within it. */
  readonly callback: string;
  /** Since it was called. */
  readonly secondsAgo: number;
}

/** One handler. What is said to be counted is undefined where the map is not observed. */
export interface HandlerInspection {
  /** The name of its class. */
  readonly className: string;
  /** The descriptor's number; -1 where it has none yet. */
  readonly descriptor: number;
  readonly phase: Phase;
  /** Where it is bound; undefined where it is not, or the socket cannot tell. */
  readonly localAddress: SocketAddress | undefined;
  /** Who is at the other end; undefined where nobody is, or the socket cannot tell. */
  readonly peerAddress: SocketAddress | undefined;
  /**
   * What its descriptor is watched for. A handler that is readable and yet not watched for reading
   * has unread bytes before an end, or is a listener that rests.
   */
  readonly interest: readonly ('read' | 'write' | 'urgent')[];
  /** Bytes that were received and that it has not used up: a line's beginning. */
  readonly bufferedBytesIn: number;
  /** Bytes that it was given to send and that the kernel has not taken. */
  readonly bufferedBytesOut: number;
  /** Bytes that it has received since it has its socket. Counted. */
  readonly bytesIn: number | undefined;
  /** Bytes that the kernel has taken from it. Counted. */
  readonly bytesOut: number | undefined;
  /** Since it came into the map. Counted. */
  readonly ageSeconds: number | undefined;
  /** Undefined as well where there was none. Counted. */
  readonly lastEvent: LastEvent | undefined;
}

/** A call that held the loop. */
export interface CallbackInspection {
  /** The handler's class; undefined for a function that was given to the map. */
  readonly className: string | undefined;
  /**
   * `'handleRead'`; `'flush'` where it was sending what a callback had left to send; `'callIn(name)'`
   * for a function.
   */
  readonly callback: string;
  /** The handler's descriptor, as it was; -1 where there is none. */
  readonly descriptor: number;
  readonly peerAddress: SocketAddress | undefined;
  /** How long it ran itself, without the callbacks that it caused. */
  readonly seconds: number;
}

/** A map and its handlers, as they are now. What is said to be counted needs an observed map. */
export interface MapInspection {
  /** `'select'`, `'poll'`, `'epoll'`. */
  readonly backend: string;
  readonly closed: boolean;
  /** Whether what has to be counted is: `observed`, `slowHandlerSeconds`, or `NODE_DEBUG`. */
  readonly observed: boolean;
  readonly ageSeconds: number;
  readonly turns: number;
  /** Descriptors that were dispatched, as `poll` returns them. */
  readonly events: number;
  /** Events that were nobody's any more: their descriptors were closed or taken out meanwhile. */
  readonly staleEvents: number;
  /** Calls of `wakeup`, and wake-ups by wakers and host names that were resolved. */
  readonly wakeups: number;
  /** How long all callbacks have run, and functions that were given to the map. Counted. */
  readonly callbackSeconds: number | undefined;
  /** Of them the one that held the loop longest; undefined as well where there was none. Counted. */
  readonly longestCallback: CallbackInspection | undefined;
  /** Those without a descriptor first, then by descriptor. */
  readonly handlers: readonly HandlerInspection[];
}
