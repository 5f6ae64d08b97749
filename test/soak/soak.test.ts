/** The soak, for some seconds on every map: it works, and shows what any length can show. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { IOHandler, socketpair } from 'asynchia';
import { candidates } from 'asynchia/maps';

import type { Run } from './conductor';
import { blockOf, cut, Random } from './pattern';
import { Peer } from './peer';
import { Faults } from './protocol';
import { judgeGrowth, type Point, trendOf, type Verdict } from './verdicts';
import { Witness } from './witness';
import { Program, root } from '../support/processes';

const SECONDS = 8;
const CONNECTIONS = 200;
const PATIENCE_MS = 100_000;
/** Verdicts that do not depend on the length of a run. */
const TOLD = [
  'bytes intact',
  'nothing told twice',
  'every handler cleaned up',
  'descriptors besides handlers',
  'CPU at rest',
];

const backends = candidates.filter((map) => map.available).map((map) => map.backend);
const folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-soak-'));
const runs = new Map<string, Program>();

const fileOf = (backend: string, ending: string): string =>
  path.join(folder, `${backend}.${ending}`);

// At the same time: they wait more than they work.
beforeAll(() => {
  for (const backend of backends) {
    const options = ['--minutes', SECONDS / 60, '--connections', CONNECTIONS, '--map', backend];
    const files = ['--json', fileOf(backend, 'json'), '--svg', fileOf(backend, 'svg')];
    const args = [path.join(root, 'dist', 'soak', 'soak.js'), ...options, ...files];
    runs.set(backend, new Program(process.execPath, args.map(String)));
  }
});

afterAll(() => {
  for (const program of runs.values()) program.kill();
  rmSync(folder, { recursive: true });
});

test.each(backends)(
  '%s: under mixed load bytes are intact, no callback is repeated, descriptors are released',
  async (backend) => {
    const program = runs.get(backend)!;
    await program.says('\n', PATIENCE_MS);
    expect([await program.ends(), program.stderr]).toEqual([0, '']);
    const run = JSON.parse(readFileSync(fileOf(backend, 'json'), 'utf8')) as Run & {
      verdicts: Verdict[];
    };
    const verdicts = run.verdicts.map(({ what, verdict }) => [what, verdict]);
    expect(verdicts.slice(0, TOLD.length)).toEqual(TOLD.map((what) => [what, 'kept']));
    expect(verdicts.slice(TOLD.length).map(([, verdict]) => verdict)).toEqual(
      Array(5).fill('too short'),
    );
    // The load was not empty.
    expect(run.samples.length).toBe(SECONDS);
    expect(run.load.exchanges).toBeGreaterThan(CONNECTIONS);
    expect(run.after.accepted).toBeGreaterThan(CONNECTIONS);
    expect(Math.max(...run.samples.map(({ server }) => server.handlers))).toBeGreaterThan(
      CONNECTIONS / 2,
    );
    expect(readFileSync(fileOf(backend, 'svg'), 'utf8')).toMatch(/^<svg .*resident memory/s);
  },
  PATIENCE_MS,
);

test('a wrong byte, and one too many, are recorded as faults', async () => {
  const bytes = cut(blockOf(1), 100, new Random(1));
  const wrong = Buffer.from(bytes);
  wrong[50]! ^= 1;
  for (const [answer, told] of [
    [wrong, 'wrong bytes among 0 to 100 of 100'],
    [Buffer.concat([bytes, bytes.subarray(0, 1)]), '101 bytes came where 100 were expected'],
    [bytes.subarray(0, 99), 'the server ended after 99 of 100 bytes'],
  ] as const) {
    const server = createServer((socket) => socket.end(answer)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const peer = await Peer.connect((server.address() as { port: number }).port);
    await expect(peer.expect(bytes)).rejects.toThrow(told);
    await peer.reset();
    server.close();
  }
});

test('repeated callbacks, and callbacks after the end, are recorded as faults', () => {
  const faults = new Faults();
  const witness = new Witness(faults);
  const map = new candidates[0]({ notifier: witness });
  const [ours, theirs] = socketpair();
  const handler = new IOHandler(map, ours);
  witness.readObj(handler);
  witness.endObj(handler);
  witness.closeObj(handler);
  expect(faults.count).toBe(0);
  witness.closeObj(handler);
  handler.close();
  expect([faults.count, witness.cleanedUp]).toEqual([1, 1]);
  witness.cleanupObj(handler);
  witness.readObj(handler);
  expect(faults.tell().faults).toEqual([
    'IOHandler was told close after close',
    'IOHandler was told cleanup after cleanup',
    'IOHandler was told read after cleanup',
  ]);
  theirs.close();
  map.close();
});

describe('trends', () => {
  const noise = new Random(7);
  const series = (of: (i: number) => number): Point[] =>
    Array.from({ length: 120 }, (_, i) => [i, of(i)]);

  test('a straight line is found exactly', () => {
    const trend = trendOf(series((i) => 10 + i));
    expect(trend.growth).toBeCloseTo(119, 9);
    expect(trend.low).toBeCloseTo(119, 6);
    expect(trend.high).toBeCloseTo(119, 6);
    expect(trend.mean).toBeCloseTo(69.5, 9);
  });

  test('noise around a level is distinguished from growth, in both directions', () => {
    const flat = trendOf(series(() => 100 + noise.next()));
    expect(judgeGrowth(flat, 2)).toBe('kept');
    const growing = trendOf(series((i) => 100 + i / 20 + noise.next()));
    expect(judgeGrowth(growing, 2)).toBe('broken');
    expect(growing.low).toBeLessThan(119 / 20);
    expect(growing.high).toBeGreaterThan(119 / 20);
  });

  test('autocorrelated samples count less', () => {
    const steps = Array.from({ length: 6 }, () => noise.next());
    const independent = trendOf(series(() => noise.next()));
    const repeated = trendOf(series((i) => steps[Math.floor(i / 20)] ?? 0));
    expect(repeated.high - repeated.low).toBeGreaterThan(2 * (independent.high - independent.low));
  });

  test('too few samples give no verdict', () => {
    const trend = trendOf([
      [0, 1],
      [1, 1.1],
      [2, 0.9],
    ]);
    expect(judgeGrowth(trend, 1000)).not.toBe('broken');
  });
});
