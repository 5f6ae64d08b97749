/** The scenarios that connections of the load play, from their first byte to their last. */
import { setTimeout as sleep } from 'node:timers/promises';

import { cut, type Random } from './pattern';
import type { Peer } from './peer';
import { REQUEST_BYTES, type Service } from './protocol';

/** The shared state of the load. */
export interface Surroundings {
  readonly block: Buffer;
  readonly text: Buffer;
  /** The run is about to end: scenarios must finish soon. */
  isEnding: boolean;
  /** A message was echoed completely, so many milliseconds after it was sent. */
  echoed(milliseconds: number): void;
  /** A request was answered correctly. */
  exchanged(): void;
}

export interface Scenario {
  readonly name: string;
  /** The share of all connections. */
  readonly share: number;
  readonly service: Service;
  /** Plays the scenario to its end, or to that of the run. */
  readonly play: (peer: Peer, random: Random, around: Surroundings) => Promise<void>;
}

const KIB = 1024;
const THINK_MS = 500;
const SHORT_LIFE_MS = 2000;
const MOST_LINES = 8;
const MOST_LINE_BYTES = 400;
const PIECE_BYTES = 64 * KIB;
const PIECE_MS = 2000;
const MOST_ALARM_MS = 1500;
const FAREWELL = 0.02;

async function hangUp(peer: Peer): Promise<void> {
  peer.end();
  await peer.ended();
}

/** Small messages back and forth, for the whole run. */
async function echo(peer: Peer, random: Random, around: Surroundings): Promise<void> {
  await sleep(random.interval(THINK_MS));
  while (!around.isEnding) {
    const bytes = cut(around.block, random.spread(1, 8 * KIB), random);
    const sentAt = performance.now();
    peer.send(bytes);
    await peer.expect(bytes);
    around.echoed(performance.now() - sentAt);
    around.exchanged();
    await sleep(random.interval(THINK_MS));
  }
  await hangUp(peer);
}

/** Some lines at a time, sent in two parts of random length. */
async function lines(peer: Peer, random: Random, around: Surroundings): Promise<void> {
  while (!around.isEnding) {
    const some = Array.from({ length: random.whole(1, MOST_LINES) }, () => [
      cut(around.text, random.whole(0, MOST_LINE_BYTES), random),
      Buffer.from('\n'),
    ]);
    const bytes = Buffer.concat(some.flat());
    const middle = random.whole(1, bytes.length);
    const answered = peer.expect(bytes);
    peer.send(bytes.subarray(0, middle));
    setImmediate(() => peer.send(bytes.subarray(middle)));
    await answered;
    around.exchanged();
    await sleep(random.interval(THINK_MS));
  }
  await hangUp(peer);
}

/** Asks for much, and reads it slowly. */
async function slowReader(peer: Peer, random: Random, around: Surroundings): Promise<void> {
  let taken = 0;
  peer.onPiece = () => {
    if (around.isEnding || peer.received - taken < PIECE_BYTES) return;
    taken = peer.received;
    peer.pause();
    void sleep(random.interval(PIECE_MS)).then(() => peer.resume());
  };
  while (!around.isEnding) {
    const bytes = cut(around.block, random.spread(4 * PIECE_BYTES, 16 * PIECE_BYTES), random);
    peer.send(requestOf(bytes.byteOffset - around.block.byteOffset, bytes.length));
    await peer.expect(bytes);
    around.exchanged();
    await sleep(random.interval(PIECE_MS));
  }
  await hangUp(peer);
}

/** Requests an answer after some time, which must not be early; sometimes resets before. */
async function alarm(peer: Peer, random: Random, around: Surroundings): Promise<void> {
  while (!around.isEnding) {
    const milliseconds = random.whole(1, MOST_ALARM_MS);
    const request = requestOf(milliseconds, random.whole(0, 2 ** 31));
    const sentAt = performance.now();
    peer.send(request);
    const called = peer.expect(request);
    if (random.next() < FAREWELL) {
      called.catch(() => undefined);
      await peer.reset();
      return;
    }
    await called;
    const waited = performance.now() - sentAt;
    if (waited < milliseconds) throw new Error(`${waited} ms in place of ${milliseconds}`);
    around.exchanged();
  }
  await hangUp(peer);
}

/** One exchange, and the end. */
async function churn(peer: Peer, random: Random, around: Surroundings): Promise<void> {
  const bytes = cut(around.block, random.spread(1, 8 * KIB), random);
  peer.send(bytes);
  await peer.expect(bytes);
  around.exchanged();
  await sleep(random.interval(SHORT_LIFE_MS));
  await hangUp(peer);
}

/** Resets the connection before, during or after the echo. */
async function reset(peer: Peer, random: Random, around: Surroundings): Promise<void> {
  await sleep(random.interval(SHORT_LIFE_MS));
  const bytes = cut(around.block, random.spread(1, 256 * KIB), random);
  const enough = random.whole(0, bytes.length);
  const gone = new Promise<void>((resolve) => {
    peer.onPiece = () => {
      if (peer.received >= enough) resolve();
    };
  });
  peer.send(bytes);
  const echoed = peer.expect(bytes);
  // A wrong byte is a fault only before the reset.
  if (enough > 0) await Promise.race([gone, echoed]);
  echoed.catch(() => undefined);
  around.exchanged();
  await peer.reset();
}

/** Sends, half-closes, and receives everything back before the server ends. */
async function halfClose(peer: Peer, random: Random, around: Surroundings): Promise<void> {
  await sleep(random.interval(SHORT_LIFE_MS));
  const bytes = cut(around.block, random.spread(1, 256 * KIB), random);
  peer.send(bytes);
  const returned = peer.expect(bytes);
  peer.end();
  await returned;
  await peer.ended();
  around.exchanged();
}

function requestOf(first: number, second: number): Buffer {
  const bytes = Buffer.alloc(REQUEST_BYTES);
  bytes.writeUInt32BE(first, 0);
  bytes.writeUInt32BE(second, 4);
  return bytes;
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'echo', share: 0.6, service: 'echo', play: echo },
  { name: 'lines', share: 0.14, service: 'lines', play: lines },
  { name: 'slow reader', share: 0.1, service: 'source', play: slowReader },
  { name: 'alarm', share: 0.05, service: 'alarm', play: alarm },
  { name: 'churn', share: 0.05, service: 'echo', play: churn },
  { name: 'reset', share: 0.03, service: 'echo', play: reset },
  { name: 'half-close, echoed', share: 0.015, service: 'echo', play: halfClose },
  { name: 'half-close, collected', share: 0.015, service: 'collect', play: halfClose },
];
