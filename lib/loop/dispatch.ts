/**
 * What readiness means to a handler: the one place where the kernel's bits become callbacks, in the
 * order except, read, write, end.
 *
 * A stream's end is told after all the bytes before it, whatever order the kernel reports them in.
 * The kernel only hints at it (`ENDING`), and only then is the socket asked what is unread.
 */
import { SystemError } from '../errors';
import { Handler } from '../handlers/handler';
import {
  awaitsOutput,
  failure,
  hasUntold,
  linger,
  registry,
  settleConnect,
  socketOf,
  state,
  State,
  unsentBytes,
  unwatched,
  watched,
} from '../handlers/handler-state';
import { closeHandler, discard } from '../handlers/life';
import type { Notifier } from '../notifier';
import {
  ENDING,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  POLLRDHUP,
} from '../readiness';
import { constants, Errno, WOULD_BLOCK } from '../sockets/constants';

const { connecting, ended, ending, failed, hungUp, lingering, listening, member, open, parked } =
  State;
const { readable, readEnded, readShut, urgentTold, writable } = State;

/** What to watch a handler's descriptor for; 0: not at all. */
export function interestOf(handler: Handler): number {
  const bits = handler[state];
  if (bits & ending) return 0;
  // While a name is looked up, one that was handed in is not under way yet: not an event of its own.
  if (bits & connecting) return handler[socketOf]?.role === 'connected' ? POLLOUT : 0;
  if (!(bits & open)) return 0;
  if (bits & listening) return (bits & (readable | parked)) === readable ? POLLIN : 0;
  let mask = (bits & (writable | hungUp | failed)) === writable ? POLLOUT : 0;
  // Without POLLRDHUP a paused handler would not hear of the end; with it, level-triggered, one
  // that has heard of it would never hear the last of it.
  if (!(bits & (readEnded | readShut | parked))) {
    mask |= POLLRDHUP;
    if (bits & readable) mask |= POLLIN;
    if (wantsUrgent(handler)) mask |= POLLPRI;
  }
  return mask;
}

/** Dispatches what a wait reported of a handler. Interest withdrawn meanwhile is honoured. */
export function dispatch(handler: Handler, ready: number, notifier: Notifier): void {
  if (handler[state] & (connecting | failed) || ready & (ENDING | POLLPRI | POLLNVAL)) {
    dispatchRare(handler, ready, notifier);
  } else {
    dispatchTransfers(handler, ready, notifier);
  }
}

/** Dispatches a handler that asked to be looked at without any event (`endLater`). */
export function dispatchPending(handler: Handler, notifier: Notifier): void {
  const error = handler[failure];
  // One that was taken out is looked at when it comes back.
  if (!(handler[state] & member)) return;
  if (error?.errno === Errno.badDescriptor && handler[watched] >= 0) {
    lose(handler, notifier);
  } else if (handler[state] & connecting) {
    if (error !== undefined) finishConnect(handler, notifier);
  } else if (error !== undefined && !(handler[state] & failed)) {
    // It could not be watched, and so would be deaf in silence, to what lies unread too.
    if (handler[state] & listening) handler[unwatched](error);
    else finish(handler, notifier, error);
  } else {
    dispatchEnding(handler, 0, notifier);
  }
}

/** Ends a handler whose peer has ended already, as soon as all that it owes the peer is sent. */
export function endIfSent(handler: Handler, notifier: Notifier): void {
  if (
    (handler[state] & (member | open | readEnded | ending)) === (member | open | readEnded) &&
    !handler.allowHalfOpen &&
    handler[unsentBytes]() === 0
  ) {
    finish(handler, notifier, handler[failure]);
  }
}

/** The descriptor was closed behind the handler's back, and may be another's by now. */
export function lose(handler: Handler, notifier: Notifier): void {
  if (handler.closed) return;
  const error = new SystemError('poll', Errno.badDescriptor);
  handler.socketMap[registry].delete(handler);
  handler[state] |= ending;
  handler[socketOf]?.detach();
  try {
    notifier.errorObj(handler, error);
  } finally {
    closeHandler(handler);
  }
}

function dispatchTransfers(handler: Handler, ready: number, notifier: Notifier): void {
  if (ready & POLLIN && isOpenAnd(readable, handler)) {
    if (handler[state] & ended) discard(handler);
    else notifier.readObj(handler);
  }
  if (ready & POLLOUT && isOpenAnd(writable, handler)) {
    if (handler[state] & lingering) notifier.flushObj(handler);
    else notifier.writeObj(handler);
    endIfSent(handler, notifier);
  }
}

/** Urgent data is watched for where somebody listens, and told once until something is read. */
function wantsUrgent(handler: Handler): boolean {
  return handler.handleExcept !== Handler.prototype.handleExcept && !(handler[state] & urgentTold);
}

function isOpenAnd(bit: number, handler: Handler): boolean {
  return (handler[state] & (member | open | ending | bit)) === (member | open | bit);
}

function dispatchRare(handler: Handler, ready: number, notifier: Notifier): void {
  if (ready & POLLNVAL) {
    lose(handler, notifier);
    return;
  }
  if (handler[state] & connecting) {
    finishConnect(handler, notifier);
    return;
  }
  if (ready & POLLPRI && wantsUrgent(handler)) {
    handler[state] |= urgentTold;
    handler.socketMap[registry].changed(handler);
    notifier.exceptObj(handler);
  }
  if (ready & ENDING || handler[state] & failed) {
    dispatchEnding(handler, ready, notifier);
  } else {
    dispatchTransfers(handler, ready, notifier);
  }
}

/**
 * The stream may have ended, as the kernel or a failed transfer says: reads what lies before the
 * end, or waits for it to be read, or ends the handler.
 */
function dispatchEnding(handler: Handler, ready: number, notifier: Notifier): void {
  const bits = handler[state];
  if ((bits & (member | open | ending | listening)) !== (member | open)) {
    dispatchTransfers(handler, ready, notifier);
    return;
  }
  if (bits & (readEnded | readShut)) {
    // Only the write side was left. It may be gone too: reset, or its reader vanished.
    if (bits & failed || ready & (POLLHUP | POLLERR)) {
      finish(handler, notifier, endingError(handler, ready));
    } else {
      dispatchTransfers(handler, ready, notifier);
      endIfSent(handler, notifier);
    }
    return;
  }

  const unread = unreadOf(handler);
  if (unread instanceof SystemError) {
    // Only POLLERR: the error of a datagram, say, which leaves the socket as it was; or a reset of
    // which the rest is still coming about, as asking again tells.
    const isOver = bits & failed || ready & (POLLHUP | POLLRDHUP) || unreadOf(handler) === 0;
    if (isOver) finish(handler, notifier, unread);
    else notifier.exceptObj(handler, unread);
  } else if (unread > 0) {
    if (!(bits & readable)) {
      const isOver = bits & (failed | hungUp) || ready & (POLLHUP | POLLERR);
      // It would wait for ever: to be told that it can write, which cannot come.
      if (isOver && handler[awaitsOutput]()) {
        finish(handler, notifier, endingError(handler, bits & hungUp ? ready | POLLERR : ready));
        return;
      }
      handler[state] |= isOver ? parked | hungUp : parked;
      handler.socketMap[registry].changed(handler);
    }
    // With both directions closed, writing has no point any more.
    dispatchTransfers(handler, ready & POLLHUP ? POLLIN & ready : ready, notifier);
  } else if (unread === 0 || bits & failed || ready & (POLLHUP | POLLRDHUP)) {
    endRead(handler, ready, notifier);
  } else {
    // POLLERR and nothing to show for it: looking has taken it away.
    dispatchTransfers(handler, ready, notifier);
  }
}

/** All that the peer sent before the end is read. */
function endRead(handler: Handler, ready: number, notifier: Notifier): void {
  const error = endingError(handler, ready);
  const canWrite = error === undefined && !(ready & POLLHUP) && !(handler[state] & lingering);
  if (canWrite && (handler.allowHalfOpen || handler[unsentBytes]() > 0)) {
    handler[state] |= readEnded;
    handler.socketMap[registry].changed(handler);
    if (handler.allowHalfOpen) notifier.endObj(handler);
    if (ready & POLLOUT) dispatchTransfers(handler, POLLOUT, notifier);
  } else {
    finish(handler, notifier, error);
  }
}

function finish(handler: Handler, notifier: Notifier, error?: SystemError): void {
  handler[state] |= error === undefined ? ending | readEnded : ending;
  // Where we have ended it ourselves, the peer's end is only what we were waiting for.
  try {
    if (!(handler[state] & lingering)) notifier.closeObj(handler, error);
  } finally {
    if (error !== undefined || !handler[linger]()) closeHandler(handler);
  }
}

function finishConnect(handler: Handler, notifier: Notifier): void {
  const error = handler[settleConnect]();
  // A name may have several addresses, and the next of them is being tried.
  if (handler[state] & connecting) return;
  if (error === undefined) notifier.connectObj(handler);
  else failConnect(handler, notifier, error);
}

function failConnect(handler: Handler, notifier: Notifier, error: SystemError): void {
  handler[state] |= ending;
  try {
    notifier.connectFailedObj(handler, error);
  } finally {
    closeHandler(handler);
  }
}

function unreadOf(handler: Handler): number | SystemError {
  try {
    if (handler[hasUntold]()) return 1;
    return handler[socketOf]?.unread() ?? WOULD_BLOCK;
  } catch (error) {
    if (error instanceof SystemError) return error;
    throw error;
  }
}

/** What the stream ended with: what a transfer failed with, the socket's error, or bytes lost. */
function endingError(handler: Handler, ready: number): SystemError | undefined {
  const told = handler[failure] ?? (ready & POLLERR ? socketError(handler) : undefined);
  if (told !== undefined) return told;
  const isLossy = ready & POLLHUP && handler[unsentBytes]() > 0;
  return isLossy ? new SystemError('send', Errno.brokenPipe) : undefined;
}

function socketError(handler: Handler): SystemError | undefined {
  try {
    const errno = handler[socketOf]?.getsockopt(constants.SOL_SOCKET, constants.SO_ERROR) ?? 0;
    return errno === 0 ? undefined : new SystemError('recv', -errno);
  } catch {
    // No socket at all: for a pipe, POLLERR says that nobody reads it any more.
    return new SystemError('write', Errno.brokenPipe);
  }
}
