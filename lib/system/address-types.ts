/** The forms of an address: as users write it, and as the library returns it. */

/**
 * An IPv4 or IPv6 address as the library returns it. It can be passed back as an `Address`:
 * `client.connect(server.socket.getsockname())`.
 */
export interface InetAddress {
  /** The numeric host: `'127.0.0.1'`, `'::1'`, `'fe80::1%2'` (with its scope, ipv6(7)). */
  readonly host: string;
  /** The port, from 0 to 65535. */
  readonly port: number;
  /** The address family: `AF_INET` is `'IPv4'`, `AF_INET6` is `'IPv6'`. */
  readonly family: 'IPv4' | 'IPv6';
}

/**
 * A Unix domain address (unix(7)) as the library returns it. It can be passed back as an `Address`
 * unless its path is empty.
 */
export interface UnixAddress {
  /**
   * The path: its text, or its bytes where they are not UTF-8. A leading NUL marks an abstract name.
   * `''` if the socket is not bound.
   */
  readonly path: string | Buffer;
}

/**
 * An address of any other family (netlink(7), vsock(7), packet(7)), as the library returns it and as
 * users may write it.
 */
export interface RawAddress {
  /** The number of the family, `AF_*`. */
  readonly family: number;
  /** What stands behind the family in its sockaddr. */
  readonly bytes: Uint8Array;
}

/** An address as the library returns it: of `getsockname`, `getpeername` and `accept`. */
export type SocketAddress = InetAddress | UnixAddress | RawAddress;

/** Text for a reader: bytes that are not UTF-8 are shown as `\\xff`. */
export function pathText(path: string | Buffer): string {
  if (typeof path === 'string') return path;
  return path
    .toString('latin1')
    .replace(/[^\0 -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** An address as text: `127.0.0.1:80`, `[::1]:80`, `/path`, `@abstract`; empty if there is none. */
export function addressText(address: SocketAddress | undefined): string {
  if (address === undefined) return '';
  if ('path' in address) return pathText(address.path).replace('\0', '@');
  if ('bytes' in address) {
    return `family ${address.family} ${Buffer.from(address.bytes).toString('hex')}`;
  }
  const { host, port } = address;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * An address as users may write it: `[host, port]` as in Python, `{ host, port }`, `'/path'` or
 * `{ path }`. A path may be a `Uint8Array`: its bytes.
 *
 * A host is a numeric address or a host name; the empty host is every IPv4 interface (`0.0.0.0`),
 * as in Python. A port is an integer from 0 to 65535; 0 has `bind` choose a free one. A path has 1
 * to 108 bytes (unix(7)); a leading NUL makes it an abstract name. Any other value is a
 * `TypeError` or `RangeError` of the method that takes it.
 */
export type Address =
  | readonly [host: string, port: number]
  | {
      /** A numeric address or a host name; `''` is every IPv4 interface. */
      readonly host: string;
      /** The port, from 0 to 65535. */
      readonly port: number;
    }
  | string
  | Uint8Array
  | {
      /** A path, or an abstract name with a leading NUL: its text, as UTF-8, or its bytes. */
      readonly path: string | Uint8Array;
    }
  | RawAddress;
