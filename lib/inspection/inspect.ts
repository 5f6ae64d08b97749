/** Makes the data of `map.inspect()` from a map's loop and its handlers. */
import type { Handler } from '../handlers/handler';
import { localAddressOf, peerAddressOf, phaseOf } from '../handlers/description';
import { heldBytes, unsentBytes, watched } from '../handlers/handler-state';
import { interestOf } from '../loop/dispatch';
import type { MainLoop } from '../loop/main-loop';
import { POLLIN, POLLOUT, POLLPRI } from '../readiness';

import type { Observer } from './observer';
import type { HandlerInspection, MapInspection } from './shapes';

/** The names of `HandlerInspection.interest`, with their readiness bits. */
const INTERESTS = [
  ['read', POLLIN],
  ['write', POLLOUT],
  ['urgent', POLLPRI],
] as const;

function inspectHandler(handler: Handler, observer: Observer | undefined): HandlerInspection {
  const interest = interestOf(handler);
  return {
    className: handler.constructor.name,
    descriptor: handler[watched],
    phase: phaseOf(handler),
    localAddress: localAddressOf(handler),
    peerAddress: peerAddressOf(handler),
    interest: INTERESTS.filter(([, bit]) => interest & bit).map(([name]) => name),
    bufferedBytesIn: handler[heldBytes](),
    bufferedBytesOut: handler[unsentBytes](),
    ...(observer?.countsOf(handler) ?? NOT_COUNTED),
  };
}

/** What `map.inspect()` returns. `observer` is undefined if the map is not observed. */
export function inspectMap(
  backend: string,
  loop: MainLoop,
  observer: Observer | undefined,
): MapInspection {
  return {
    backend,
    closed: loop.isClosed,
    observed: observer !== undefined,
    ageSeconds: (loop.nowMs - loop.startedAtMs) / 1000,
    turns: loop.table.turn,
    events: loop.events,
    staleEvents: loop.staleEvents,
    wakeups: loop.wakeups,
    callbackSeconds: observer && observer.callbackMs / 1000,
    longestCallback: observer?.longest,
    handlers: loop.table.members().map((handler) => inspectHandler(handler, observer)),
  };
}

/** The fields that only an observed map fills. */
const NOT_COUNTED = {
  bytesIn: undefined,
  bytesOut: undefined,
  ageSeconds: undefined,
  lastEvent: undefined,
};
