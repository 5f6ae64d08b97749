/** Conversions between addresses as users write them and sockaddrs. */
import { bytesOf, checkInteger, rangeError, typeError } from '../system/arguments';
import { binding } from '../system/binding';
import { lookupError } from '../system/errors';
import type { Kernel, SocketFile } from '../system/kernel';

import type { SocketAddress } from '../system/address-types';
import { constants } from '../system/constants';

/** An address that the kernel takes: a sockaddr, packed. */
export interface PackedAddress {
  readonly family: number;
  readonly packed: Buffer;
}

/** A host name, which has to be resolved. */
export interface NamedAddress {
  readonly hostname: string;
  readonly port: number;
}

/** sockaddr_storage has 128 bytes, two of which are the family. socket(7) */
const MOST_RAW_BYTES = 126;

const EXPECTED = "[host, port], { host, port }, a '/path' or { path }";

function withFamily(packed: Buffer): PackedAddress {
  // sa_family_t stands first in every sockaddr, in the machine's byte order.
  return {
    family: new Uint16Array(packed.buffer.slice(packed.byteOffset, packed.byteOffset + 2))[0] ?? 0,
    packed,
  };
}

function parseInet(host: unknown, port: unknown): PackedAddress | NamedAddress {
  if (typeof host !== 'string') throw typeError('address host', host, 'a string');
  checkInteger('address port', port, 0, 65535);
  const packed = binding.packInet(host === '' ? '0.0.0.0' : host, port, false);
  if (packed !== undefined) return withFamily(packed);
  // RFC 1035, 3.1: a name has 255 octets at most.
  if (/[\s\0]/.test(host) || host.length > 255) {
    throw rangeError('address host', host, 'a numeric address or a host name');
  }
  return { hostname: host, port };
}

function parseUnix(path: unknown): PackedAddress {
  if (typeof path !== 'string' && !ArrayBuffer.isView(path)) {
    throw typeError('address path', path, 'a string or a Uint8Array');
  }
  const bytes = Buffer.from(bytesOf('address path', path));
  // In an abstract name NUL is an ordinary byte. unix(7)
  if (bytes.indexOf(0) > 0) throw rangeError('address path', path, "free of '\\0'");
  const packed = binding.packUnix(bytes);
  if (packed === undefined) {
    throw rangeError('address path', path, '1 to 108 bytes long (unix(7))');
  }
  return withFamily(packed);
}

/** A sockaddr: the family, in the machine's byte order, and what stands behind it. */
function parseRaw(family: unknown, bytes: unknown): PackedAddress {
  checkInteger('address family', family, 0, 65535);
  if (!ArrayBuffer.isView(bytes)) throw typeError('address bytes', bytes, 'a Uint8Array');
  const behind = bytesOf('address bytes', bytes);
  if (behind.length > MOST_RAW_BYTES) {
    throw rangeError('address bytes', behind, `at most ${MOST_RAW_BYTES} bytes long`);
  }
  const head = new Uint8Array(Uint16Array.of(family).buffer);
  return { family, packed: Buffer.concat([head, behind]) };
}

/** What `parseAddress` returns. */
export type ParsedAddress = PackedAddress | NamedAddress;

/** Reads an address. Throws a TypeError or RangeError where it is none. */
export function parseAddress(address: unknown): ParsedAddress {
  if (typeof address === 'string' || ArrayBuffer.isView(address)) return parseUnix(address);
  if (Array.isArray(address)) {
    if (address.length !== 2) throw typeError('address', address, EXPECTED);
    return parseInet(address[0], address[1]);
  }
  if (typeof address === 'object' && address !== null) {
    if ('path' in address) return parseUnix(address.path);
    if ('family' in address && 'bytes' in address) return parseRaw(address.family, address.bytes);
    if ('host' in address && 'port' in address) return parseInet(address.host, address.port);
  }
  throw typeError('address', address, EXPECTED);
}

/** An address that the kernel takes; a host name is resolved at once, blocking. */
export function packAddress(address: unknown, kernel: Kernel): PackedAddress {
  const parsed = parseAddress(address);
  if ('packed' in parsed) return parsed;
  const packed = kernel.packInet(parsed.hostname, parsed.port, true);
  if (packed === undefined) throw lookupError('ENOTFOUND', parsed.hostname);
  return withFamily(packed);
}

/** The address in a sockaddr. */
export function unpackAddress(packed: Buffer): SocketAddress {
  return binding.unpackAddress(packed);
}

/** An IPv4 address, from the number of its host. */
export function inet4Address(host: number, port: number): SocketAddress {
  const octets = `${host >>> 24}.${(host >>> 16) & 255}.${(host >>> 8) & 255}.${host & 255}`;
  return { host: octets, port, family: 'IPv4' };
}

/** An address that a look-up found, with its port. */
export function resolvedAddress(packed: Buffer, port: number): SocketAddress {
  const found = unpackAddress(packed);
  return 'host' in found ? { ...found, port } : found;
}

/** Whether a Unix path is that of a file: neither an abstract name nor empty. unix(7) */
export function isInFileSystem(path: string | Buffer): boolean {
  const first = typeof path === 'string' ? path.charCodeAt(0) : path[0];
  return first !== undefined && first > 0;
}

/** The file of a socket at an address; undefined if there is none. */
export function socketFileAt(address: SocketAddress, kernel: Kernel): SocketFile | undefined {
  const isFile = 'path' in address && isInFileSystem(address.path);
  return isFile ? kernel.socketFile(address.path) : undefined;
}

/** The family of an address: `AF_UNIX`, `AF_INET` or `AF_INET6`. */
export function familyOf(address: SocketAddress): number {
  if ('path' in address) return constants.AF_UNIX;
  if ('bytes' in address) return address.family;
  return address.family === 'IPv4' ? constants.AF_INET : constants.AF_INET6;
}
