/** The forms of an address. */

/** An internet address as the library hands it out; it can be handed back in as it is. */
export interface InetAddress {
  /** Numeric: `'127.0.0.1'`, `'::1'`, `'fe80::1%2'`. */
  readonly host: string;
  readonly port: number;
  readonly family: 'IPv4' | 'IPv6';
}

/** A Unix address as the library hands it out. */
export interface UnixAddress {
  /** A path; a leading `'\0'` marks an abstract name; empty where the socket has none. */
  readonly path: string;
}

/** An address as the library hands it out. */
export type SocketAddress = InetAddress | UnixAddress;

/** For people: `127.0.0.1:80`, `[::1]:80`, `/path`, `@abstract`; empty where there is no name. */
export function addressText(address: SocketAddress | undefined): string {
  if (address === undefined) return '';
  if ('path' in address) return address.path.replace('\0', '@');
  const { host, port } = address;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * An address as users may write it: `[host, port]`, `{ host, port }`, `'/path'` or `{ path }`
 * (abstract with a leading `'\0'`; unix(7)). An empty host is every interface, as in Python.
 */
export type Address =
  | readonly [host: string, port: number]
  | { readonly host: string; readonly port: number }
  | string
  | { readonly path: string };
