/** The error classes, and the functions that make the library's own errors. */
import os from 'node:os';
import util from 'node:util';

import { addressText, pathText, type SocketAddress } from './address-types';

/** The name of a negative error number, and its meaning in words. */
function describe(errno: number): [code: string, description: string] {
  const known = util.getSystemErrorMap().get(errno);
  if (known !== undefined) return known;
  const name = Object.entries(os.constants.errno).find(([, value]) => value === -errno)?.[0];
  return [name ?? `E${String(-errno)}`, 'unknown system error'];
}

/**
 * A system call that failed. It has the shape of Node's own system errors: `code`, negative
 * `errno`, `syscall`, and `address` and `port` if they are known. The library throws it, or passes
 * it to `handleConnectFailed`, `handleClose`, `handleExcept`, `handleAcceptError` and
 * `handleError`.
 */
export class SystemError extends Error {
  /**
   * The error's name, as errno(3) lists it: `'ECONNREFUSED'`. A failed name look-up has the code
   * that Node's `dns` gives it: `'ENOTFOUND'`, `'EAI_AGAIN'`.
   */
  readonly code: string;
  /** The error number, negative as in Node: `-111`. */
  readonly errno: number;
  /** The system call that failed: `'connect'`. */
  readonly syscall: string;
  /**
   * The host or path of the call; absent if the call had none. Of a path that is not UTF-8, each
   * such byte is shown as `\\xff`.
   */
  declare readonly address?: string;
  /** The port of the call; absent if the call had none. */
  declare readonly port?: number;
  /** The name that could not be resolved; absent for every other failure. */
  declare readonly hostname?: string;

  /**
   * Makes the error of a failed call; its message names the call, the code and the address.
   *
   * @param syscall - The system call that failed: `'connect'`.
   * @param errno - The kernel's error number (errno(3)), negative: `-111`.
   * @param where - The address that the call was for, or the name that was looked up.
   */
  constructor(
    syscall: string,
    errno: number,
    where?: SocketAddress | { readonly hostname: string },
  ) {
    const [code, description] = describe(errno);
    const place = where && 'hostname' in where ? where.hostname : addressText(where);
    super(`${syscall} ${code}${place && ' '}${place}: ${description}`);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
    if (where === undefined) return;
    if ('path' in where) this.address = pathText(where.path);
    if ('host' in where) {
      this.address = where.host;
      this.port = where.port;
    }
    if ('hostname' in where) this.hostname = where.hostname;
  }

  /** Always `'SystemError'`. */
  override get name(): string {
    return 'SystemError';
  }
}

/**
 * Thrown if the `SocketMap` is closed: by its `poll`, `run`, `runSync`, `callIn` and the others
 * that need an open one, by the constructors of handlers, and by `connect`.
 */
export class SocketMapClosedError extends Error {
  /** The error's code, in the form of Node's own. */
  readonly code = 'ERR_SOCKET_MAP_CLOSED';

  /**
   * Makes the error.
   *
   * @param method - The method that was called: `'poll'`.
   */
  constructor(method: string) {
    super(`${method}: this socket map is closed; make a new one`);
  }

  /** Always `'SocketMapClosedError'`. */
  override get name(): string {
    return 'SocketMapClosedError';
  }
}

/**
 * Thrown by `poll` and `runSync` when the process gets SIGINT (Ctrl-C), which then does not end it, if
 * neither `process.on` nor `addSignalHandler` handles the signal. Python's `KeyboardInterrupt`.
 */
export class InterruptedError extends Error {
  /** The error's code, in the form of Node's own. */
  readonly code = 'ERR_INTERRUPTED';
  /** The name of the signal: `'SIGINT'`. */
  readonly signal: NodeJS.Signals;

  /**
   * Makes the error.
   *
   * @param signal - The name of the signal.
   */
  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
  }

  /** Always `'InterruptedError'`. */
  override get name(): string {
    return 'InterruptedError';
  }
}

/** For a method that needs a socket, on a handler that has none yet. */
export function noSocketError(method: string, className: string): Error {
  const error = new Error(
    `${method}: this ${className} has no socket yet; bind or connect it first`,
  );
  return Object.assign(error, { code: 'ERR_NO_SOCKET' });
}

/** For a method of a closed handler, `Waker`, `Poll` or `Epoll`. */
export function closedError(method: string, what: string): Error {
  return Object.assign(new Error(`${method}: this ${what} is closed`), { code: 'ERR_CLOSED' });
}

/** For `connect` on a handler that is about to close, or whose connection attempt failed. */
export function endingError(method: string, what: string): Error {
  const message = `${method}: this ${what} is ending; make a new handler for another connection`;
  return Object.assign(new Error(message), { code: 'ERR_CLOSED' });
}

/** libuv's error numbers for the failures of getaddrinfo(3), by the codes that Node gives them. */
const LOOKUP_ERRNO: Readonly<Record<string, number>> = {
  EAI_AGAIN: -3001,
  EAI_FAIL: -3004,
  EAI_MEMORY: -3006,
  ENOTFOUND: -3008,
};

/** For a name look-up that failed, in the shape of the errors of Node's `dns`. */
export function lookupError(code: string, hostname: string): SystemError {
  const error = new SystemError('getaddrinfo', LOOKUP_ERRNO[code] ?? -3004, { hostname });
  return Object.assign(error, { code, message: `getaddrinfo ${code} ${hostname}` });
}

/** Returns `result`; throws a `SystemError` if it is a negative error number. */
export function checked(syscall: string, result: number, where?: SocketAddress): number {
  if (result < 0) throw new SystemError(syscall, result, where);
  return result;
}
