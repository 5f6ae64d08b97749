/** What becomes of a handler whose transfer failed. */
import { SystemError } from '../errors';
import { Errno } from '../sockets/constants';

import type { Handler } from './handler';
import { failure, registry, state, State } from './handler-state';

const { connecting, failed, open } = State;

/** Failures that are the program's mistake and not the connection's end: thrown where they happen. */
const MISUSE: ReadonlySet<string> = new Set([
  'EBADF',
  'EDESTADDRREQ',
  'EFAULT',
  'EINVAL',
  'ENOTCONN',
  'ENOTSOCK',
  'ENOTSUP',
]);

/**
 * A transfer failed: the handler ends as soon as all that came before is read, or its attempt to
 * connect has failed. Throws where it was the program's mistake.
 */
export function failTransfer(handler: Handler, error: unknown): void {
  if (!(error instanceof SystemError) || MISUSE.has(error.code)) throw error;
  // Before any attempt TCP says EPIPE.
  if (!(handler[state] & (open | connecting))) {
    throw new SystemError(error.syscall, Errno.notConnected);
  }
  handler[failure] ??= error;
  if (!(handler[state] & connecting)) handler[state] |= failed;
  const inner = handler.socketMap[registry];
  inner.changed(handler);
  inner.endLater(handler);
}
