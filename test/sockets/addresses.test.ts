/** Addresses: every form goes in, and what comes out goes in as it is. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import os from 'node:os';

import fc from 'fast-check';

import { constants, Socket, type Address, type SocketAddress } from '../../lib';
import { select } from '../../lib/select';
import { Workshop } from '../support/descriptors';
import { families, hasIPv6 } from '../support/families';
import { isInstalled } from '../support/processes';

const { AF_INET, AF_INET6, AF_UNIX } = constants;

let shop: Workshop;
let sockets: Socket[];
beforeEach(() => {
  shop = new Workshop();
  sockets = [];
});
afterEach(() => {
  for (const socket of sockets) socket.close();
  shop.dispose();
});

function made(family: number): Socket {
  const socket = Socket.create(family);
  sockets.push(socket);
  return socket;
}

/** What a socket says it is bound to after it was bound to `address`. */
function bound(family: number, address: Address): SocketAddress {
  const socket = made(family);
  socket.bind(address);
  return socket.getsockname();
}

/** Listens at one address, connects to another; what the listener is told of the client. */
function reach(family: number, listenAt: Address, connectTo: (at: SocketAddress) => Address) {
  const listener = made(family);
  listener.bind(listenAt);
  listener.listen(1);
  const client = made(family);
  client.connect(connectTo(listener.getsockname()));
  select([listener], [], [], 10);
  const { socket, address } = listener.accept()!;
  sockets.push(socket);
  return { listener, client, socket, address };
}

describe.each(families)('what comes out can be handed in: $name', ({ family, anywhere }) => {
  test('the address of a listener is one to connect to', () => {
    const { listener, client } = reach(family, anywhere(shop.folder), (at) => at);
    expect(client.getpeername()).toEqual(listener.getsockname());
  });

  test('the address of a socket is one to bind to, once it is free', () => {
    const first = made(family);
    first.bind(anywhere(shop.folder));
    const address = first.getsockname();
    first.close();
    if ('path' in address && !address.path.startsWith('\0')) rmSync(address.path);
    expect(bound(family, address)).toEqual(address);
  });
});

describe('internet addresses', () => {
  test('an array and an object are the same', () => {
    for (const address of [['127.0.0.1', 0], { host: '127.0.0.1', port: 0 }] as const) {
      expect(bound(AF_INET, address)).toEqual({
        host: '127.0.0.1',
        port: expect.any(Number) as number,
        family: 'IPv4',
      });
    }
  });

  test('an empty host is every interface', () => {
    expect(bound(AF_INET, ['', 0])).toMatchObject({ host: '0.0.0.0' });
  });

  test('a host name is resolved by bind', () => {
    expect(bound(AF_INET, ['localhost', 0])).toMatchObject({ host: '127.0.0.1' });
  });

  test('a client that was bound is known by that address', () => {
    const listener = made(AF_INET);
    listener.bind(['127.0.0.1', 0]);
    listener.listen(1);
    const client = made(AF_INET);
    client.bind(['127.0.0.9', 0]);
    client.connect(listener.getsockname());
    select([listener], [], [], 10);
    const { socket, address } = listener.accept()!;
    sockets.push(socket);
    expect(address).toEqual(client.getsockname());
    expect(address).toMatchObject({ host: '127.0.0.9' });
  });

  test('every port comes back as it was', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 65535 }),
        fc.integer({ min: 1, max: 254 }),
        (port, n) => {
          // Connecting a datagram socket sends nothing, so that nobody has to listen there.
          const datagram = Socket.create(AF_INET, constants.SOCK_DGRAM);
          const host = `127.0.${n}.1`;
          datagram.connect([host, port]);
          const peer = datagram.getpeername();
          datagram.close();
          expect(peer).toEqual({ host, port, family: 'IPv4' });
        },
      ),
    );
  });
});

// A kernel may be built or started without IPv6.
const describeIPv6 = hasIPv6 ? describe : describe.skip;
describeIPv6('IPv6 addresses', () => {
  /** Interfaces that have a link-local address: its last field says which they are. */
  const linkLocal = hasIPv6
    ? readFileSync('/proc/net/if_inet6', 'utf8')
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([address, , , scope]) => address?.startsWith('fe80') && scope === '20')
    : [];

  test('the family is said', () => {
    expect(bound(AF_INET6, ['::1', 0])).toMatchObject({ host: '::1', family: 'IPv6' });
  });

  test('a mapped IPv4 address can be handed in again', () => {
    const both = made(AF_INET6);
    both.setsockopt(constants.IPPROTO_IPV6, constants.IPV6_V6ONLY, false);
    both.bind(['::', 0]);
    both.listen(1);
    const { port } = both.getsockname() as { port: number };
    const client = made(AF_INET);
    client.connect(['127.0.0.1', port]);
    select([both], [], [], 10);
    const { socket } = both.accept()!;
    sockets.push(socket);
    const name = socket.getsockname();
    expect(name).toEqual({ host: '::ffff:127.0.0.1', port, family: 'IPv6' });
    const again = made(AF_INET6);
    again.connect(name);
    expect(again.getpeername()).toEqual(name);
  });

  test('a scope is kept, by number', () => {
    // Datagrams are not sent by connecting, so that any interface's number will do.
    const [name] = Object.keys(os.networkInterfaces());
    const index = Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
    const datagram = Socket.create(AF_INET6, constants.SOCK_DGRAM);
    sockets.push(datagram);
    for (const scope of [String(name), String(index)]) {
      try {
        datagram.connect([`fe80::1%${scope}`, 9]);
        expect(datagram.getpeername()).toMatchObject({ host: `fe80::1%${index}`, port: 9 });
      } catch (error) {
        expect(error).toMatchObject({ syscall: 'connect', address: `fe80::1%${index}`, port: 9 });
      }
    }
  });

  // A machine with no interface but loopback has no such address.
  const testLinkLocal = linkLocal.length > 0 ? test : test.skip;
  testLinkLocal('a link-local listener is reached by the address it tells', () => {
    const [bytes = '', index = ''] = linkLocal[0] ?? [];
    const host = `${bytes.replace(/(....)(?!$)/g, '$1:')}%${parseInt(index, 16)}`;
    const { listener, address } = reach(AF_INET6, [host, 0], (at) => at);
    const told = listener.getsockname();
    expect(told).toMatchObject({ host: expect.stringMatching(/^fe80::.*%\d+$/) as string });
    expect(address).toMatchObject({ host: 'host' in told ? told.host : '' });
  });

  test('an interface that does not exist is no address', () => {
    expect(() => made(AF_INET6).bind(['fe80::1%nosuch0', 0])).toThrow('ENOTFOUND');
  });
});

describe('Unix addresses', () => {
  test('a string and an object are the same', () => {
    expect(bound(AF_UNIX, `${shop.folder}/a`)).toEqual({ path: `${shop.folder}/a` });
    expect(bound(AF_UNIX, { path: `${shop.folder}/b` })).toEqual({ path: `${shop.folder}/b` });
  });

  test('a path is text in UTF-8', () => {
    const path = `${shop.folder}/grüße 😀`;
    expect(reach(AF_UNIX, path, (at) => at).client.getpeername()).toEqual({ path });
  });

  test('a path of 108 bytes fits exactly, one of 109 is refused', () => {
    for (const length of [106, 107, 108]) {
      const fits = `${shop.folder}/`.padEnd(length, 'x');
      const { client } = reach(AF_UNIX, fits, (at) => at);
      expect(client.getpeername()).toEqual({ path: fits });
    }
    const path = `${shop.folder}/`.padEnd(108, 'y');
    expect(() => made(AF_UNIX).bind(`${path}x`)).toThrow(RangeError);
    // Bytes count, not characters.
    expect(() => made(AF_UNIX).bind(`${path.slice(0, -1)}ü`)).toThrow(RangeError);
  });

  test('an abstract name of 107 bytes after its mark fits exactly, one of 108 is refused', () => {
    const path = `\0${shop.folder}`.padEnd(108, 'x');
    expect(reach(AF_UNIX, { path }, (at) => at).client.getpeername()).toEqual({ path });
    expect(() => made(AF_UNIX).bind(`${path}x`)).toThrow(RangeError);
  });

  test('an abstract name may be a part of another', () => {
    const name = `\0${shop.folder}`;
    for (const path of [name, `${name}.`, `${name}..`]) {
      expect(bound(AF_UNIX, path)).toEqual({ path });
    }
  });

  test('what an abstract name says of itself can be handed in, NULs and all', () => {
    const path = `\0${shop.folder}\0inside`;
    expect(reach(AF_UNIX, { path }, (at) => at).client.getpeername()).toEqual({ path });
  });

  test('a NUL inside a path is refused', () => {
    expect(() => made(AF_UNIX).bind(`${shop.folder}/a\0b`)).toThrow(RangeError);
  });

  test('a socket without a name has an empty path', () => {
    expect(made(AF_UNIX).getsockname()).toEqual({ path: '' });
  });

  // Left out, aloud, where it is not installed; in CI that is an error.
  const testWithPython = isInstalled('python3') ? test : test.skip;
  testWithPython('a peer that nobody here wrote is known by its name', () => {
    const listener = made(AF_UNIX);
    listener.bind(`${shop.folder}/server`);
    listener.listen(1);
    const program = `
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(b'\\0' + sys.argv[1].encode() + b'/peer')
s.connect(sys.argv[1] + '/server')
s.send(b'hello')`;
    spawnSync('python3', ['-c', program, shop.folder], { stdio: 'inherit' });
    const { socket, address } = listener.accept()!;
    sockets.push(socket);
    expect(address).toEqual({ path: `\0${shop.folder}/peer` });
  });
});
