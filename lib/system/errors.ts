/** What goes wrong: failures of the system, and a map that is closed. */
import os from 'node:os';
import util from 'node:util';

import { addressText, type SocketAddress } from './address-types';

function describe(errno: number): [code: string, description: string] {
  const known = util.getSystemErrorMap().get(errno);
  if (known !== undefined) return known;
  const name = Object.entries(os.constants.errno).find(([, value]) => value === -errno)?.[0];
  return [name ?? `E${String(-errno)}`, 'unknown system error'];
}

/** The parts of a `SystemError` that tell where it happened. */
export type Where = SocketAddress | { readonly hostname: string };

/**
 * A system call that failed, in the shape of Node's own errors: `code` (`'ECONNREFUSED'`), negative
 * `errno`, `syscall`, and `address` and `port` where they are known.
 */
export class SystemError extends Error {
  /** The error's name in errno(3): `'ECONNREFUSED'`; for a name that was not found, Node's `'ENOTFOUND'`. */
  readonly code: string;
  /** The negative error number. */
  readonly errno: number;
  /** The call that failed: `'connect'`. */
  readonly syscall: string;
  /** The host or path that was asked for. */
  declare readonly address?: string;
  /** The port that was asked for. */
  declare readonly port?: number;
  /** The name that could not be resolved. */
  declare readonly hostname?: string;

  /** `errno` as the kernel numbers it, negated: `-111`. */
  constructor(syscall: string, errno: number, where?: Where) {
    const [code, description] = describe(errno);
    const place = where && 'hostname' in where ? where.hostname : addressText(where);
    super(`${syscall} ${code}${place && ' '}${place}: ${description}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    if (where === undefined) return;
    if ('path' in where) this.address = where.path;
    if ('host' in where) {
      this.address = where.host;
      this.port = where.port;
    }
    if ('hostname' in where) this.hostname = where.hostname;
  }

  override get name(): string {
    return 'SystemError';
  }
}

/** Thrown by what a closed map can no longer do. */
export class SocketMapClosedError extends Error {
  /** The error's `code`, as Node's own have one. */
  readonly code = 'ERR_SOCKET_MAP_CLOSED';

  constructor(method: string) {
    super(`${method}: this socket map is closed; make a new one`);
  }

  override get name(): string {
    return 'SocketMapClosedError';
  }
}

/** The error for a method of a handler that has no socket yet. */
export function noSocketError(method: string, className: string): Error {
  const error = new Error(
    `${method}: this ${className} has no socket yet; bind or connect it first`,
  );
  return Object.assign(error, { code: 'ERR_NO_SOCKET' });
}

/** The error for a method of something that is closed. */
export function closedError(method: string, what: string): Error {
  return Object.assign(new Error(`${method}: this ${what} is closed`), { code: 'ERR_CLOSED' });
}

/** A handler whose end is being told, or whose attempt to connect failed, cannot connect again. */
export function endingError(method: string, what: string): Error {
  const message = `${method}: this ${what} is ending; make a new handler for another connection`;
  return Object.assign(new Error(message), { code: 'ERR_CLOSED' });
}

/** libuv's numbers for what getaddrinfo(3) fails with, by the codes that Node gives them. */
const LOOKUP_ERRNO: Readonly<Record<string, number>> = {
  EAI_AGAIN: -3001,
  EAI_FAIL: -3004,
  EAI_MEMORY: -3006,
  ENOTFOUND: -3008,
};

/** The failure of a name look-up, shaped as Node's `dns` does it. */
export function lookupError(code: string, hostname: string): SystemError {
  const error = new SystemError('getaddrinfo', LOOKUP_ERRNO[code] ?? -3004, { hostname });
  return Object.assign(error, { code, message: `getaddrinfo ${code} ${hostname}` });
}

/** Passes a result through, or throws what a negative one says. */
export function checked(syscall: string, result: number, where?: Where): number {
  if (result < 0) throw new SystemError(syscall, result, where);
  return result;
}
