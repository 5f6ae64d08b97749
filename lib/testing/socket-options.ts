/** Options of simulated sockets: some take effect, the others are only stored. */
import os from 'node:os';

import { constants } from '../system/constants';

import type { Stream } from './stream';

const { SOL_SOCKET, SO_ACCEPTCONN, SO_DOMAIN, SO_ERROR, SO_LINGER, SO_OOBINLINE } = constants;
const { SO_SNDBUF, SO_TYPE, SOCK_STREAM } = constants;

/** The kernel's smallest send buffer (SOCK_MIN_SNDBUF). */
const LEAST_SEND_BUFFER_BYTES = 4608;

/** getsockopt(2): the value as bytes; the number 0 if the option was never set. */
export function getOption(stream: Stream, level: number, option: number): Uint8Array {
  const value = level === SOL_SOCKET ? kernelValue(stream, option) : undefined;
  if (value !== undefined) return bytesOf(value);
  return stream.options.get(keyOf(level, option)) ?? bytesOf(0);
}

/** setsockopt(2). */
export function setOption(stream: Stream, level: number, option: number, value: Uint8Array): void {
  stream.options.set(keyOf(level, option), Uint8Array.from(value));
  if (level !== SOL_SOCKET) return;
  const number = integerOf(value);
  // socket(7): the kernel doubles the value, to have room for its own bookkeeping.
  if (option === SO_SNDBUF) stream.sendBufferBytes = Math.max(LEAST_SEND_BUFFER_BYTES, 2 * number);
  if (option === SO_OOBINLINE) stream.isUrgentInline = number !== 0;
  if (option === SO_LINGER && !stream.isUnix) {
    stream.resetsOnClose = number !== 0 && integerOf(value.subarray(4)) === 0;
  }
}

/** The value of an integer option. */
export function integerOption(stream: Stream, level: number, option: number): number {
  return integerOf(getOption(stream, level, option));
}

/** The value of an option that the kernel computes; undefined for all others. */
function kernelValue(stream: Stream, option: number): number | undefined {
  switch (option) {
    case SO_ERROR:
      return stream.takeError();
    case SO_TYPE:
      return SOCK_STREAM;
    case SO_DOMAIN:
      return stream.family;
    case SO_ACCEPTCONN:
      return Number(stream.phase === 'listening');
    case SO_SNDBUF:
      return stream.sendBufferBytes;
    default:
      return undefined;
  }
}

function keyOf(level: number, option: number): string {
  return `${level} ${option}`;
}

function bytesOf(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

function integerOf(bytes: Uint8Array): number {
  return new DataView(Uint8Array.from(bytes).buffer).getInt32(0, os.endianness() === 'LE');
}
