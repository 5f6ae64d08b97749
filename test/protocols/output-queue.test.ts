/** OutputQueue against a model: bytes leave in order, however few a socket takes at a time. */
import fc from 'fast-check';

import { constants, socketpair, type Socket } from '../../lib';
import { OutputQueue } from '../../lib/transport/output-queue';

type Step =
  | { readonly kind: 'append'; readonly size: number }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'send' }
  | { readonly kind: 'read'; readonly size: number };

const block = OutputQueue.blockBytes;

const size = fc.oneof(
  fc.integer({ min: 0, max: 200 }),
  fc.constantFrom(block - 1, block, block + 1, 2 * block, 3 * block + 7),
  fc.integer({ min: 0, max: 100_000 }),
);

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 50 }),
  fc.constantFrom('é'.repeat(block / 2), '€'.repeat(block), '😀'.repeat(3000), '\ud800'),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  size.map((bytes): Step => ({ kind: 'append', size: bytes })),
  text.map((each): Step => ({ kind: 'text', text: each })),
  fc.constant<Step>({ kind: 'send' }),
  fc.integer({ min: 1, max: 60_000 }).map((bytes): Step => ({ kind: 'read', size: bytes })),
);

/** Bytes that depend on their position in the stream. */
function bytesFrom(start: number, length: number): Buffer {
  return Buffer.from(
    Uint8Array.from({ length }, (_, i) => ((start + i) * 31 + (start >> 8)) & 255),
  );
}

describe('OutputQueue', () => {
  let near: Socket;
  let far: Socket;

  beforeEach(() => {
    [near, far] = socketpair();
    // A small buffer, so that the kernel takes parts.
    near.setsockopt(constants.SOL_SOCKET, constants.SO_SNDBUF, 4096);
  });

  afterEach(() => {
    near.close();
    far.close();
  });

  /** Reads at most `most` received bytes. */
  function received(most: number): Buffer {
    const buffer = Buffer.alloc(most);
    return buffer.subarray(0, Math.max(0, far.recvInto(buffer)));
  }

  /** Sends and reads until the queue is empty. */
  function drain(queue: OutputQueue): Buffer {
    const parts: Buffer[] = [];
    for (;;) {
      queue.sendTo(near);
      const part = received(1 << 20);
      if (part.length === 0 && queue.length === 0) return Buffer.concat(parts);
      parts.push(part);
    }
  }

  function run(steps: readonly Step[]): void {
    const queue = OutputQueue.take();
    expect(queue.length).toBe(0);
    const given: Buffer[] = [];
    const taken: Buffer[] = [];
    let waiting = 0;
    let total = 0;
    for (const each of steps) {
      if (each.kind === 'append') {
        const bytes = bytesFrom(total, each.size);
        given.push(Buffer.from(bytes));
        queue.append(bytes);
        bytes.fill(0xee);
        waiting += each.size;
        total += each.size;
      } else if (each.kind === 'text') {
        const bytes = Buffer.from(each.text, 'utf8');
        given.push(bytes);
        queue.appendText(each.text);
        waiting += bytes.length;
        total += bytes.length;
      } else if (each.kind === 'send') {
        waiting -= queue.sendTo(near);
      } else {
        taken.push(received(each.size));
      }
      expect(queue.length).toBe(waiting);
    }
    taken.push(drain(queue));
    queue.giveBack();
    expect(Buffer.concat(taken).equals(Buffer.concat(given))).toBe(true);
  }

  test('sends what was added, in order, for any chunks', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), run), { numRuns: 150 });
  });

  test('more blocks than one system call takes are sent in several calls', () => {
    run([
      ...Array.from({ length: 100 }, (_, i): Step => ({ kind: 'append', size: block + i })),
      { kind: 'send' },
      { kind: 'read', size: 60_000 },
      { kind: 'send' },
      { kind: 'append', size: 5 },
    ]);
  });

  test('when the socket would block, nothing is sent and nothing is lost', () => {
    const queue = OutputQueue.take();
    queue.append(Buffer.alloc(1 << 20, 'x'));
    while (queue.sendTo(near) > 0);
    const { length } = queue;
    expect(length).toBeGreaterThan(0);
    expect(queue.sendTo(near)).toBe(0);
    expect(queue.length).toBe(length);
    expect(drain(queue).length).toBe(1 << 20);
    queue.giveBack();
  });

  test('an empty queue makes no system call', () => {
    const queue = OutputQueue.take();
    near.close();
    expect(queue.sendTo(near)).toBe(0);
    queue.giveBack();
  });

  test('a queue released with content is empty when reused', () => {
    const full = OutputQueue.take();
    full.append(Buffer.alloc(3 * block));
    full.giveBack();
    const again = OutputQueue.take();
    expect(again).toBe(full);
    expect(again.length).toBe(0);
    again.append(Buffer.from('fresh'));
    expect(drain(again).toString()).toBe('fresh');
    again.giveBack();
  });
});
