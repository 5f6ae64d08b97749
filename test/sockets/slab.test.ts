/** What `read` returns is the caller's: never overwritten, and sent on as it is. */
import { randomBytes } from 'node:crypto';

import type * as lib from '../../lib';
import { IOHandler, type Socket, type SocketMap, socketpair } from '../../lib';
import type * as maps from '../../lib/maps';
import { EpollSocketMap } from '../../lib/maps';

let map: SocketMap;
beforeEach(() => {
  map = new EpollSocketMap();
});
afterEach(() => map.close());

/** A handler, and a way to put bytes before it and to take from it what it sends. */
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

test('what was read stays as it was, however much is read after it', () => {
  const { handler, put } = wire();
  const kept: [Buffer, Buffer][] = [];
  // Far more than a slab, in pieces of many sizes.
  for (let i = 0; i < 300; i++) {
    const sent = randomBytes(1 + ((i * 7919) % 3000));
    put(sent);
    const read = handler.read([64, 4096, 65536, 300_000][i % 4] ?? 1);
    kept.push([sent.subarray(0, read.length), read]);
    while (handler.read(65536).length > 0);
  }
  for (const [sent, read] of kept) expect(read.equals(sent)).toBe(true);
});

test('what was read last, what was read before, and parts of both are sent on as they are', () => {
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

test('what was peeked at is there to be read, and what was peeked stays', () => {
  const { handler, put } = wire();
  put(Buffer.from('look first'));
  const peeked = handler.peek(4);
  const read = handler.read(100);
  put(Buffer.from('XXXXXXXXXX'));
  handler.read(100);
  expect(peeked.toString()).toBe('look');
  expect(read.toString()).toBe('look first');
});

test('a part cannot be transferred away with everybody else’s', () => {
  const { handler, put } = wire();
  put(Buffer.from('mine'));
  const mine = handler.read(100);
  // Node 20 clones it in place of transferring, later versions throw.
  try {
    structuredClone(mine.buffer, { transfer: [mine.buffer as ArrayBuffer] });
  } catch (error) {
    expect(String(error)).toMatch(/transfer/i);
  }
  expect(mine.toString()).toBe('mine');
});

test('two copies of the library over one addon each receive and send their own bytes', () => {
  // As a bundle for each plugin has them, or jest.resetModules().
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

describe('a buffer of the caller’s own, used again and again', () => {
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

  /** Often enough to be known. */
  function use(bytes: Uint8Array): void {
    for (const text of ['one', 'two', 'three']) {
      say(text);
      expect(near.recvInto(bytes)).toBe(text.length);
      expect(Buffer.from(bytes.buffer, bytes.byteOffset, text.length).toString()).toBe(text);
      expect(near.send(bytes, 0, text.length)).toBe(text.length);
      expect(far.recvInto(Buffer.alloc(10))).toBe(text.length);
    }
  }

  test('gets its bytes, at any offset, and beside others', () => {
    const [first, second] = [Buffer.alloc(16), Buffer.alloc(16)];
    use(first);
    say('abc');
    expect(near.recvInto(first, 4, 2)).toBe(2);
    expect(near.recvInto(second)).toBe(1);
    expect([first.toString('latin1', 4, 6), second.toString('latin1', 0, 1)]).toEqual(['ab', 'c']);
    use(second);
    use(first);
  });

  test('is not written to when its memory has gone to another thread', () => {
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

  test('nor one that lies about its length', () => {
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

  test('nor past the end of one that has shrunk', () => {
    // The types are of an older edition of the language.
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
