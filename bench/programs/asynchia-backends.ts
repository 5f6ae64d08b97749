/**
 * The field's classic over our maps, the same as backends_libevent.c: N sockets are watched, both
 * ends of N/2 pairs, A of them are given a byte, and each byte read is passed on to the next until W
 * bytes were written. Prints one line of JSON with the samples, in microseconds.
 *
 *   asynchia-backends.js [--backend epoll] [--pairs 100] [--active 10] [--writes 100] [--repeat 25]
 *                        [--steady]
 *
 * `--steady` leaves out what comes before each loop, withdrawing and asking for everything again: it
 * empties the caches, and a loop of one event would show little else.
 */
import { parseArgs } from 'node:util';

import type { Socket, SocketMap } from 'asynchia';
import { IOHandler, socketpair } from 'asynchia';
import { candidates } from 'asynchia/maps';

/** How long, and how often at most, turns are run before the measured ones, for the compiler. */
const WARMUP_MS = 300;
const WARMUP_TURNS = 300;

const { values } = parseArgs({
  options: {
    backend: { type: 'string', default: 'epoll' },
    pairs: { type: 'string', default: '100' },
    active: { type: 'string', default: '10' },
    writes: { type: 'string', default: '100' },
    repeat: { type: 'string', default: '25' },
    'both-ends': { type: 'boolean', default: true },
    steady: { type: 'boolean', default: false },
  },
});
const [watched, active, writes, repeat] = [
  values.pairs,
  values.active,
  values.writes,
  values.repeat,
].map(Number) as [number, number, number, number];

const byte = Buffer.from('e');
const received = Buffer.alloc(1);
const links: Link[] = [];
/** The socket that makes each link readable: its peer. */
const writers: Socket[] = [];
let writesLeft = 0;
let readsLeft = 0;

function writeTo(index: number): void {
  writesLeft--;
  writers[index]?.send(byte);
}

class Link extends IOHandler {
  readonly #next: number;

  constructor(map: SocketMap, socket: Socket, index: number) {
    super(map, socket);
    this.#next = (index + 1) % watched;
    this.setReadable(true);
  }

  override handleRead(): void {
    this.recvInto(received);
    readsLeft--;
    if (writesLeft > 0) writeTo(this.#next);
  }
}

const mapClass = candidates.find(({ backend }) => backend === values.backend);
if (mapClass === undefined) throw new RangeError(`--backend: there is no '${values.backend}'`);
const map = new mapClass();
for (let i = 0; i < watched; i += 2) {
  const [one, other] = socketpair();
  links.push(new Link(map, one, i), new Link(map, other, i + 1));
  writers.push(other, one);
}

function rearm(): void {
  for (const link of links) {
    link.setReadable(false);
    link.setReadable(true);
  }
  map.poll(0);
}

/** Everything withdrawn and asked for again, and then the loop alone. */
function turn(): { turn: number; loop: number } {
  const begin = performance.now();
  if (!values.steady) rearm();
  writesLeft = writes;
  readsLeft = writes;
  const loopBegin = performance.now();
  const distance = Math.floor(watched / active);
  for (let i = 0; i < active; i++) writeTo(i * distance);
  while (readsLeft > 0) map.poll(0);
  const end = performance.now();
  return { turn: 1000 * (end - begin), loop: 1000 * (end - loopBegin) };
}

const warm = performance.now() + WARMUP_MS;
for (let i = 0; i < WARMUP_TURNS && (i === 0 || performance.now() < warm); i++) turn();
const samples = Array.from({ length: repeat }, turn);
const report = {
  backend: map.backend,
  turn_us: samples.map((sample) => sample.turn),
  loop_us: samples.map((sample) => sample.loop),
};
process.stdout.write(`${JSON.stringify(report)}\n`);
map.close();
