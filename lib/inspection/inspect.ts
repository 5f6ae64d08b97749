/** Makes the data of `map.inspect()` from a map's loop and its handlers. */
import { handlerOf } from '../handlers/handler';
import { localAddressOf, peerAddressOf, phaseText } from '../handlers/description';
import type { HandlerInspection, MapInspection } from '../handlers/inspection';
import type { MainLoop } from '../loop/main-loop';
import { POLLIN, POLLOUT, POLLPRI } from '../system/readiness';
import type { Transport } from '../transport/transport';

import type { Observer } from './observer';

/** The names of `HandlerInspection.interest`, with their readiness bits. */
const INTERESTS = [
  ['read', POLLIN],
  ['write', POLLOUT],
  ['urgent', POLLPRI],
] as const;

function inspectTransport(transport: Transport, observer: Observer | undefined): HandlerInspection {
  const interest = transport.interest();
  const buffered = transport.bufferedBytes();
  return {
    className: transport.owner.constructor.name,
    descriptor: transport.fd,
    phase: phaseText(transport),
    localAddress: localAddressOf(transport),
    peerAddress: peerAddressOf(transport),
    interest: INTERESTS.filter(([, bit]) => interest & bit).map(([name]) => name),
    bufferedBytesIn: buffered.in,
    bufferedBytesOut: buffered.out,
    ...(observer?.countsOf(handlerOf(transport)) ?? NOT_COUNTED),
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
    turns: loop.turn,
    events: loop.events,
    staleEvents: loop.staleEvents,
    wakeups: loop.wakeups,
    callbackSeconds: observer && observer.callbackMs / 1000,
    longestCallback: observer?.longest,
    handlers: loop.registrations
      .members()
      .map((transport) => inspectTransport(transport, observer)),
  };
}

/** The fields that only an observed map fills. */
const NOT_COUNTED = {
  bytesIn: undefined,
  bytesOut: undefined,
  ageSeconds: undefined,
  lastEvent: undefined,
};
