/** Socket: the system calls, over every address family. */
import { spawnSync } from 'node:child_process';
import { constants as fs, writeSync } from 'node:fs';
import path from 'node:path';

import { constants, Socket, socketpair, WOULD_BLOCK, type Address } from '../../lib';
import { select } from '../../lib/select';
import { flagsOf, Workshop } from '../support/descriptors';
import { families } from '../support/families';
import { root } from '../support/processes';

const { SOL_SOCKET, SO_REUSEADDR, SO_TYPE, SO_ERROR, SHUT_WR, SHUT_RDWR } = constants;

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

function kept<S extends Socket>(socket: S): S {
  sockets.push(socket);
  return socket;
}

function failing(code: string, syscall: string): Error {
  return expect.objectContaining({ name: 'SystemError', code, syscall }) as Error;
}

/** Waits until it is readable. */
function readable(socket: Socket): Socket {
  expect(select([socket], [], [], 10)[0]).toEqual([socket]);
  return socket;
}

describe.each(families)('over $name', ({ family, anywhere }) => {
  let listener: Socket;
  let client: Socket;

  function listen(): void {
    listener = kept(Socket.create(family));
    listener.bind(anywhere(shop.folder));
    listener.listen(5);
  }

  function connect(): Socket {
    client = kept(Socket.create(family));
    client.connect(listener.getsockname());
    expect(select([], [client], [], 10)[1]).toEqual([client]);
    expect(client.getsockopt(SOL_SOCKET, SO_ERROR)).toBe(0);
    const { socket } = readable(listener).accept()!;
    return kept(socket);
  }

  test('bytes are transferred in both directions', () => {
    listen();
    const server = connect();
    expect(client.send(Buffer.from('..question'), 2)).toBe(8);
    const buffer = Buffer.alloc(16, '.');
    expect(readable(server).recvInto(buffer, 4, 10)).toBe(8);
    expect(buffer.toString()).toBe('....question....');
    expect(server.send(Buffer.from('answer'), 0, 3)).toBe(3);
    expect(readable(client).recvInto(buffer)).toBe(3);
    expect(buffer.toString('latin1', 0, 3)).toBe('ans');
  });

  test('sendMany sends several buffers in one call', () => {
    listen();
    const server = connect();
    const parts = ['-one', 'two', '', 'three'].map((text) => Buffer.from(text));
    expect(client.sendMany(parts, 1)).toBe(11);
    const buffer = Buffer.alloc(20);
    expect(readable(server).recvInto(buffer)).toBe(11);
    expect(buffer.toString('latin1', 0, 11)).toBe('onetwothree');
  });

  test('would-block is a return value', () => {
    listen();
    expect(listener.accept()).toBeUndefined();
    const server = connect();
    expect(server.recvInto(Buffer.alloc(1))).toBe(WOULD_BLOCK);
    expect(server.unread()).toBe(WOULD_BLOCK);
    const block = Buffer.alloc(1 << 20);
    while (client.send(block) > 0);
    expect(client.send(block)).toBe(WOULD_BLOCK);
    expect(client.sendMany([block, block])).toBe(WOULD_BLOCK);
    expect(client.unacknowledged()).toBeGreaterThan(0);
    expect(server.unacknowledged()).toBe(0);
  });

  test('each end has both addresses', () => {
    listen();
    const server = connect();
    expect(server.getsockname()).toEqual(listener.getsockname());
    expect(client.getpeername()).toEqual(listener.getsockname());
    expect(server.getpeername()).toEqual(client.getsockname());
  });

  test('accept returns the address of the peer', () => {
    listen();
    client = kept(Socket.create(family));
    client.connect(listener.getsockname());
    const { socket, address } = readable(listener).accept()!;
    kept(socket);
    expect(address).toEqual(client.getsockname());
  });

  test('shutdown ends one direction', () => {
    listen();
    const server = connect();
    client.shutdown(SHUT_WR);
    expect(readable(server).recvInto(Buffer.alloc(1))).toBe(0);
    expect(server.unread()).toBe(0);
    server.send(Buffer.from('still here'));
    expect(readable(client).unread()).toBeGreaterThan(0);
    expect(() => client.send(Buffer.from('x'))).toThrow(failing('EPIPE', 'send'));
  });

  test('every descriptor is non-blocking and closed on exec', () => {
    listen();
    const server = connect();
    const both = { nonBlocking: true, closeOnExec: true };
    for (const socket of [listener, client, server]) {
      expect(flagsOf(socket.fileno())).toEqual(both);
    }
  });

  test('roles', () => {
    listen();
    expect(kept(Socket.create(family))).toMatchObject({ role: 'unconnected', closed: false });
    const server = connect();
    expect([listener.role, client.role, server.role]).toEqual([
      'listening',
      'connected',
      'connected',
    ]);
  });

  test('a port or name in use is EADDRINUSE', () => {
    listen();
    const second = kept(Socket.create(family));
    const address = listener.getsockname();
    expect(() => second.bind(address)).toThrow(failing('EADDRINUSE', 'bind'));
  });

  test('datagrams keep their boundaries', () => {
    const [a, b] = [0, 1].map(() => kept(Socket.create(family, constants.SOCK_DGRAM)));
    const at = (name: string): Address => anywhere(path.join(shop.folder, name));
    for (const [socket, name] of [
      [a!, 'a'],
      [b!, 'b'],
    ] as const) {
      const address = at(name);
      if (typeof address === 'string' && !address.startsWith('\0')) {
        spawnSync('mkdir', [path.dirname(address)]);
      }
      socket.bind(address);
    }
    a!.connect(b!.getsockname());
    a!.send(Buffer.from('first'));
    a!.send(Buffer.from('second'));
    const buffer = Buffer.alloc(20);
    expect(readable(b!).recvInto(buffer)).toBe(5);
    expect(readable(b!).recvInto(buffer)).toBe(6);
  });
});

describe('options', () => {
  test('a number or boolean option is set and read back', () => {
    const socket = kept(Socket.create());
    expect(socket.getsockopt(SOL_SOCKET, SO_REUSEADDR)).toBe(0);
    socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, true);
    expect(socket.getsockopt(SOL_SOCKET, SO_REUSEADDR)).toBe(1);
    socket.setsockopt(constants.IPPROTO_TCP, constants.TCP_KEEPIDLE, 77);
    expect(socket.getsockopt(constants.IPPROTO_TCP, constants.TCP_KEEPIDLE)).toBe(77);
    expect(socket.getsockopt(SOL_SOCKET, SO_TYPE)).toBe(constants.SOCK_STREAM);
  });

  test('bytes set and return options that are structures', () => {
    const socket = kept(Socket.create());
    const linger = Buffer.from(Int32Array.of(1, 7).buffer);
    socket.setsockopt(SOL_SOCKET, constants.SO_LINGER, linger);
    expect(socket.getsockopt(SOL_SOCKET, constants.SO_LINGER, 8)).toEqual(linger);
    expect(socket.getsockopt(SOL_SOCKET, constants.SO_LINGER, 100)).toHaveLength(8);
  });

  test('an unknown option is ENOPROTOOPT', () => {
    const socket = kept(Socket.create());
    expect(() => socket.setsockopt(SOL_SOCKET, 9999, 1)).toThrow(
      failing('ENOPROTOOPT', 'setsockopt'),
    );
    expect(() => socket.getsockopt(SOL_SOCKET, 9999)).toThrow(failing('ENOPROTOOPT', 'getsockopt'));
  });
});

test('a socket that is no stream counts as connected', () => {
  const { AF_INET, AF_UNIX, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM } = constants;
  // socket(2): a type may contain flags; netlink(7): raw sockets need no privilege.
  const [NONBLOCK, AF_NETLINK, SOCK_RAW] = [0o4000, 16, 3];
  const role = (family: number, type: number): string => kept(Socket.create(family, type)).role;
  expect(role(AF_INET, SOCK_DGRAM | NONBLOCK)).toBe('connected');
  expect(role(AF_INET, SOCK_STREAM | NONBLOCK)).toBe('unconnected');
  expect(role(AF_UNIX, SOCK_SEQPACKET)).toBe('unconnected');
  expect(role(AF_NETLINK, SOCK_RAW)).toBe('connected');
  expect(kept(Socket.fromFd(kept(Socket.create(AF_NETLINK, SOCK_RAW)).detach())).role).toBe(
    'connected',
  );
});

describe('a socket and its descriptor', () => {
  test('a pair is connected, non-blocking and closed on exec', () => {
    const [a, b] = socketpair();
    for (const socket of [kept(a), kept(b)]) {
      expect(flagsOf(socket.fileno())).toEqual({ nonBlocking: true, closeOnExec: true });
      expect(socket.role).toBe('connected');
    }
    a.send(Buffer.from('x'));
    expect(b.recvInto(Buffer.alloc(4))).toBe(1);
    expect(a.getpeername()).toEqual({ path: '' });
  });

  test('a pair may be of another type', () => {
    const [a, b] = Socket.pair(constants.AF_UNIX, constants.SOCK_SEQPACKET);
    expect(kept(a).getsockopt(SOL_SOCKET, SO_TYPE)).toBe(constants.SOCK_SEQPACKET);
    kept(b).send(Buffer.from('whole'));
    expect(a.recvInto(Buffer.alloc(2))).toBe(2);
    expect(a.unread()).toBe(WOULD_BLOCK);
  });

  test('closing ends the stream of the peer, and a second close has no effect', () => {
    const [a, b] = socketpair();
    kept(b);
    a.close();
    a.close();
    expect([a.closed, a.fileno()]).toEqual([true, -1]);
    expect(b.recvInto(Buffer.alloc(1))).toBe(0);
  });

  test('a second close does not close a reused descriptor', () => {
    const a = Socket.create();
    const number = a.fileno();
    a.close();
    const heir = kept(Socket.create());
    expect(heir.fileno()).toBe(number);
    a.close();
    expect(heir.getsockopt(SOL_SOCKET, SO_TYPE)).toBe(constants.SOCK_STREAM);
  });

  test('detach returns the open descriptor', () => {
    const [a, b] = socketpair();
    const fd = a.detach();
    expect([a.closed, a.fileno(), a.detach()]).toEqual([true, -1, -1]);
    a.close();
    const again = kept(Socket.fromFd(fd));
    expect(again.fileno()).toBe(fd);
    kept(b).send(Buffer.from('x'));
    expect(again.recvInto(Buffer.alloc(1))).toBe(1);
  });

  test('fromFd finds the role of a descriptor', () => {
    const role = (make: () => Socket): string => kept(Socket.fromFd(make().detach())).role;
    expect(role(() => Socket.create())).toBe('unconnected');
    expect(role(() => socketpair()[0])).toBe('connected');
    expect(role(() => Socket.create(undefined, constants.SOCK_DGRAM))).toBe('connected');
    const listener = Socket.create();
    listener.listen(1);
    expect(role(() => listener)).toBe('listening');
  });

  test('fromFd makes a blocking descriptor non-blocking', () => {
    spawnSync('mkfifo', [path.join(shop.folder, 'fifo')]);
    const fd = shop.open('fifo', fs.O_RDWR);
    expect(flagsOf(fd).nonBlocking).toBe(false);
    const pipe = Socket.fromFd(fd);
    expect(flagsOf(fd)).toEqual({ nonBlocking: true, closeOnExec: true });
    writeSync(fd, 'abc');
    expect([pipe.role, pipe.unread()]).toEqual(['connected', 3]);
    expect(pipe.recv(8)?.toString()).toBe('abc');
    pipe.detach();
    expect(flagsOf(fd).nonBlocking).toBe(false);
  });

  test('fromFd adopts an inherited descriptor, and sets close-on-exec', () => {
    const script = `
      const { Socket } = require('asynchia');
      Socket.fromFd(3).send(Buffer.from('hello'));
      const { spawnSync } = require('node:child_process');
      const inherited = spawnSync('sh', ['-c', '[ -e /proc/self/fd/3 ] && echo yes || echo no']);
      process.stdout.write(inherited.stdout);`;
    const child = spawnSync(process.execPath, ['-e', script], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    });
    expect(child.output[3]?.toString()).toBe('hello');
    expect(child.stdout.toString()).toBe('no\n');
  });
});

test('send to a closed peer is EPIPE, not a signal', () => {
  const [a, b] = socketpair();
  kept(a);
  b.close();
  expect(() => a.send(Buffer.from('x'))).toThrow(failing('EPIPE', 'send'));
  expect(() => a.sendMany([Buffer.from('x'), Buffer.from('y')])).toThrow(
    failing('EPIPE', 'sendmsg'),
  );
  a.shutdown(SHUT_RDWR);
});
