/** Received buffers belong to the caller: never overwritten, and forwarded unchanged. */
import { randomBytes } from 'node:crypto';

import type * as lib from '../../lib';
import { constants, IOHandler, Socket, type SocketMap, socketpair } from '../../lib';
import type * as maps from '../../lib/maps';
import { EpollSocketMap } from '../../lib/maps';
import { select } from '../../lib/select';

let map: SocketMap;
beforeEach(() => {
  map = new EpollSocketMap();
});
afterEach(() => map.close());

/** A handler, and functions that send bytes to it and receive its output. */
function wire(): { handler: IOHandler; put: (bytes: Buffer) => void; take: () => Buffer } {
  const [ours, theirs] = socketpair();
  const room = Buffer.alloc(256 * 1024);
  return {
    handler: new IOHandler(map, ours),
    put: (bytes) => {
      expect(theirs.send(bytes)).toBe(bytes.length);
    },
    take: () => Buffer.from(room.subarray(0, theirs.recvInto(room))),
  };
}

test('MSG_TRUNC of a TCP stream hands out no memory that was not written', () => {
  const listener = Socket.create();
  listener.bind(['127.0.0.1', 0]);
  listener.listen(1);
  const client = Socket.create();
  client.connect(listener.getsockname());
  select([listener], [], []);
  const { socket } = listener.accept()!;
  const handler = new IOHandler(map, client);
  for (let i = 0; i < 50; i++) {
    socket.send(Buffer.alloc(5000, 'x'));
    select([client], [], []);
    // recv(2): a stream's bytes are counted and discarded.
    const bytes = handler.recv(100_000, constants.MSG_TRUNC);
    expect(bytes.length).toBeGreaterThan(0);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  }
  for (const each of [listener, socket]) each.close();
});

test('MSG_TRUNC of a longer datagram returns what was received of it', () => {
  const [ours, theirs] = Socket.pair(constants.AF_UNIX, constants.SOCK_DGRAM);
  theirs.send(Buffer.from('0123456789'));
  expect(ours.recv(4, constants.MSG_TRUNC)?.toString()).toBe('0123');
  for (const each of [ours, theirs]) each.close();
});

const testWithTransfer = 'transfer' in ArrayBuffer.prototype ? test : test.skip;
testWithTransfer('buffer.transfer() of received bytes throws, and no read loses its bytes', () => {
  const { handler, put } = wire();
  const reads = ['one', 'two'].map((text) => {
    put(Buffer.from(text));
    return handler.read(100);
  });
  const memory = reads[0]?.buffer as unknown as Record<string, () => unknown>;
  for (const method of ['transfer', 'transferToFixedLength']) {
    expect(() => memory[method]?.()).toThrow('this memory is shared with other reads');
  }
  expect(reads.map(String)).toEqual(['one', 'two']);
});

testWithTransfer('memory that was detached all the same is not written any more', () => {
  const { handler, put, take } = wire();
  put(Buffer.from('one'));
  const read = handler.read(100);
  const { transfer } = ArrayBuffer.prototype as unknown as { transfer(): ArrayBuffer };
  let taken: Buffer;
  try {
    taken = Buffer.from(transfer.call(read.buffer));
  } catch (error) {
    // From Node 24 on.
    expect((error as Error).message).toContain('not detachable');
    expect(read.toString()).toBe('one');
    return;
  }
  const before = Buffer.from(taken);
  put(Buffer.from('two'));
  expect(handler.send(read)).toBe(0);
  expect(handler.read(100).toString()).toBe('two');
  expect(taken.equals(before)).toBe(true);
  handler.send('three');
  expect(take().toString()).toBe('three');
});

test('received bytes stay unchanged after further reads', () => {
  const { handler, put } = wire();
  const kept: [Buffer, Buffer][] = [];
  // Far more than a slab, in chunks of many sizes.
  for (let i = 0; i < 300; i++) {
    const sent = randomBytes(1 + ((i * 7919) % 3000));
    put(sent);
    const read = handler.read([64, 4096, 65536, 300_000][i % 4] ?? 1);
    kept.push([sent.subarray(0, read.length), read]);
    while (handler.read(65536).length > 0);
  }
  for (const [sent, read] of kept) expect(read.equals(sent)).toBe(true);
});

test('the last received buffer, earlier ones, and parts of both are forwarded unchanged', () => {
  const from = wire();
  const to = wire();
  const kept: Buffer[] = [];
  for (let i = 0; i < 200; i++) {
    const sent = randomBytes(1 + ((i * 6271) % 2000));
    from.put(sent);
    const read = from.handler.read(65536);
    expect(to.handler.send(read)).toBe(sent.length);
    expect(to.take().equals(sent)).toBe(true);

    const part = read.subarray(read.length >>> 1);
    if (part.length > 0) {
      to.handler.send(part);
      expect(to.take().equals(part)).toBe(true);
      to.handler.socket.send(read, read.length >>> 1);
      expect(to.take().equals(part)).toBe(true);
    }
    kept.push(read);
    const older = kept[i >>> 1] ?? read;
    to.handler.send(older);
    expect(to.take().equals(older)).toBe(true);
  }
});

test('peeked bytes can be read afterwards, and the peeked buffer stays unchanged', () => {
  const { handler, put } = wire();
  put(Buffer.from('look first'));
  const peeked = handler.peek(4);
  const read = handler.read(100);
  put(Buffer.from('XXXXXXXXXX'));
  handler.read(100);
  expect(peeked.toString()).toBe('look');
  expect(read.toString()).toBe('look first');
});

test('transferring a received buffer does not detach the slab', () => {
  const { handler, put } = wire();
  put(Buffer.from('mine'));
  const mine = handler.read(100);
  // Node 20 clones the memory instead of transferring it, later versions throw.
  try {
    structuredClone(mine.buffer, { transfer: [mine.buffer as ArrayBuffer] });
  } catch (error) {
    expect(String(error)).toMatch(/transfer/i);
  }
  expect(mine.toString()).toBe('mine');
});

test('two copies of the library with one addon each receive and send their own bytes', () => {
  // As with a bundle per plugin, or jest.resetModules().
  const copies = ['first', 'second'].map((name) => {
    let copy = {} as { lib: typeof lib; maps: typeof maps };
    jest.isolateModules(() => {
      copy = { lib: jest.requireActual('../../lib'), maps: jest.requireActual('../../lib/maps') };
    });
    const own = new copy.maps.EpollSocketMap();
    const [ours, theirs] = copy.lib.socketpair();
    return { name, copy, own, theirs, handler: new copy.lib.IOHandler(own, ours) };
  });
  expect(copies[0]?.copy.lib.IOHandler).not.toBe(copies[1]?.copy.lib.IOHandler);
  const kept: [string, Buffer][] = [];
  const room = Buffer.alloc(100);
  for (let i = 0; i < 10; i++) {
    for (const { name, theirs, handler } of copies) {
      const said = `${name} ${i}`;
      theirs.send(Buffer.from(said));
      const read = handler.read(100);
      kept.push([said, read]);
      handler.send(read);
      expect(room.toString('utf8', 0, theirs.recvInto(room))).toBe(said);
    }
  }
  expect(kept.map(([, read]) => read.toString())).toEqual(kept.map(([said]) => said));
  for (const { own } of copies) own.close();
});

describe('a buffer of the caller, used repeatedly', () => {
  let near: Socket;
  let far: Socket;
  beforeEach(() => {
    [near, far] = socketpair();
  });
  afterEach(() => {
    near.close();
    far.close();
  });

  function say(text: string): void {
    expect(far.send(Buffer.from(text))).toBe(text.length);
  }

  /** Often enough for the buffer to be registered. */
  function use(bytes: Uint8Array): void {
    for (const text of ['one', 'two', 'three']) {
      say(text);
      expect(near.recvInto(bytes)).toBe(text.length);
      expect(Buffer.from(bytes.buffer, bytes.byteOffset, text.length).toString()).toBe(text);
      expect(near.send(bytes, 0, text.length)).toBe(text.length);
      expect(far.recvInto(Buffer.alloc(10))).toBe(text.length);
    }
  }

  test('gets its bytes at any offset, and beside other buffers', () => {
    const [first, second] = [Buffer.alloc(16), Buffer.alloc(16)];
    use(first);
    say('abc');
    expect(near.recvInto(first, 4, 2)).toBe(2);
    expect(near.recvInto(second)).toBe(1);
    expect([first.toString('latin1', 4, 6), second.toString('latin1', 0, 1)]).toEqual(['ab', 'c']);
    use(second);
    use(first);
  });

  test('is not written after its memory was transferred to another thread', () => {
    const bytes = new Uint8Array(64);
    use(bytes);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    say('abc');
    expect(near.recvInto(bytes)).toBe(0);
    expect(near.send(bytes)).toBe(0);
    expect(() => near.recvInto(bytes, 0, 64)).toThrow(/^length must be/);
    const other = Buffer.alloc(8);
    expect(near.recvInto(other)).toBe(3);
    expect(other.toString('latin1', 0, 3)).toBe('abc');
  });

  test('is not written beyond its memory when its length property lies', () => {
    class Lying extends Uint8Array {
      override get length(): number {
        return 64;
      }
    }
    const bytes = new Lying(new ArrayBuffer(64));
    use(bytes);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    say('abc');
    expect(near.recvInto(bytes, 0, 64)).toBe(0);
    expect(near.send(bytes, 0, 64)).toBe(0);
  });

  test('is not written beyond its end after it has shrunk', () => {
    // Missing in the types of this ECMAScript version.
    const memory = Reflect.construct(ArrayBuffer, [64, { maxByteLength: 128 }]) as ArrayBuffer & {
      resize(length: number): void;
    };
    const bytes = new Uint8Array(memory);
    use(bytes);
    memory.resize(2);
    say('abc');
    expect(near.recvInto(bytes)).toBe(2);
    memory.resize(128);
    expect(near.recvInto(bytes)).toBe(1);
    expect(Buffer.from(bytes.subarray(0, 2)).toString()).toBe('cb');
  });
});
