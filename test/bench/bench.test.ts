/** The benchmark: every scenario in a short form, and the statistics of its rounds. */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { parseCpuList } from '../../bench/machine';
import { orderOfRound, pairedRatios, quantile, runTrial, summarise } from '../../bench/rounds';
import type { Sample, Trial } from '../../bench/trial';
import { isInstalled, Program, root } from '../support/processes';

interface Told {
  machine: { kernel: string; cpu: string; node: string; loadAverage: number[] };
  rounds: number;
  notes: string[];
  results: {
    scenario: string;
    reference: string;
    figures: { key: string }[];
    standings: { name: string; figures: Record<string, { median: number; values: number[] }> }[];
  }[];
  verdicts?: { figure: string; verdict: string }[];
}

/**
 * `check` starts some fifty programs, one after the other, many of them Node: eleven seconds on an idle
 * machine, and several times that where others are at work.
 */
const PATIENCE_MS = 110_000;
const TIMEOUT_MS = PATIENCE_MS + 10_000;
const hasCompiler = isInstalled('cc') && isInstalled('make');
/** Needs the load generator, which is in C. Skipped with a message where there is no compiler. */
const withCompiler = hasCompiler ? test : test.skip;
if (!hasCompiler) {
  process.stderr.write('bench: echo, churn, idle and check are left out: no C compiler and make\n');
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-bench-test-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const cli = path.join(root, 'dist', 'bench', 'cli.js');

let benches = 0;

interface Written {
  told: Told;
  html: string;
  table: string;
}

/**
 * Runs a short scenario; returns its output and the file it wrote. Each is measured for a tenth
 * of a second: where other programs had the CPU all that time, the scenario is run again.
 */
async function bench(scenario: string, ...args: string[]): Promise<Written> {
  for (let tries = 1; ; tries++) {
    const written = await benchOnce(scenario, ...args);
    const figures = written.told.results.flatMap(({ standings }) =>
      standings.map((standing) => standing.figures),
    );
    if (tries === 3 || figures.every(({ rate }) => rate?.median !== 0)) return written;
  }
}

async function benchOnce(scenario: string, ...args: string[]): Promise<Written> {
  const name = path.join(folder, String(++benches));
  const files = { json: `${name}.json`, html: `${name}.html` };
  const written = ['--json', files.json, '--html', files.html];
  const options = [scenario, '--quick', ...written, ...args];
  const program = new Program(process.execPath, [cli, 'bench', ...options]);
  try {
    expect([await program.ends(PATIENCE_MS), program.stderr]).toEqual([0, '']);
  } finally {
    // A program that did not end in time would disturb the tests that follow.
    program.kill('SIGTERM');
  }
  return {
    told: JSON.parse(readFileSync(files.json, 'utf8')) as Told,
    html: readFileSync(files.html, 'utf8'),
    table: program.stdout,
  };
}

/** The contestants of every trial. All figures must be numbers; times and rates must be positive. */
function contestants({ results }: Told): string[] {
  for (const { figures, standings } of results) {
    for (const { name, figures: values } of standings) {
      for (const key of figures.map((figure) => figure.key)) {
        const median = values[key]?.median;
        // User time may be 0 in so short a time (clock ticks); memory may shrink.
        if (['user', 'heap', 'rss', 'bytes'].includes(key)) continue;
        expect({ name, key, isPositive: median !== undefined && median >= 0 }).toEqual({
          name,
          key,
          isPositive: true,
        });
        if (key === 'rate' || key === 'loop') expect(median).toBeGreaterThan(0);
      }
    }
  }
  return [...new Set(results.flatMap(({ standings }) => standings.map(({ name }) => name)))];
}

const MAPS = ['asynchia-epoll', 'asynchia-poll', 'asynchia-select'];

describe('every scenario in a short form', () => {
  withCompiler(
    'echo: every map against C and node:net, as JSON, table and HTML',
    async () => {
      const { told, html, table } = await bench('echo');
      expect(contestants(told)).toEqual(
        expect.arrayContaining([...MAPS, 'asynchia-epoll-runSync', 'c-epoll', 'node-net']),
      );
      expect(told.machine.cpu).not.toBe('');
      expect(told.machine.node).toBe(process.version);
      expect(told.machine.loadAverage).toHaveLength(3);
      expect(told.rounds).toBe(1);
      expect(table).toContain('│ asynchia-epoll ');
      expect(table).not.toContain('errors or unanswered');
      expect(html).toContain('<svg');
      // It opens without a network.
      expect(html).not.toMatch(/(src|href)="?http|@import|url\(http/);
    },
    TIMEOUT_MS,
  );

  withCompiler(
    'echo in an open loop, for the chosen contestants',
    async () => {
      const { told } = await bench('echo', '--only', 'asynchia-epoll,node-net', '--rate', '500');
      expect(contestants(told)).toEqual(['asynchia-epoll', 'node-net']);
    },
    TIMEOUT_MS,
  );

  withCompiler(
    'churn',
    async () => {
      const { told } = await bench('churn');
      expect(contestants(told)).toEqual(expect.arrayContaining([...MAPS, 'c-epoll', 'node-net']));
    },
    TIMEOUT_MS,
  );

  withCompiler(
    'idle',
    async () => {
      const { told } = await bench('idle');
      expect(contestants(told)).toEqual(expect.arrayContaining([...MAPS, 'c-epoll', 'node-net']));
    },
    TIMEOUT_MS,
  );

  withCompiler(
    'check: a verdict on every budget',
    async () => {
      const { told, html, table } = await benchOnce('check');
      expect(told.verdicts?.length).toBeGreaterThan(15);
      const missing = told.verdicts?.filter(({ verdict }) => verdict === 'not measured');
      // Their references are not installed everywhere.
      const may = /Bun|system calls/;
      expect(missing?.filter(({ figure }) => !may.test(figure))).toEqual([]);
      expect(table).toContain('verdict');
      expect(html).toContain('Budgets');
    },
    TIMEOUT_MS,
  );

  test(
    'backends: with or without libevent',
    async () => {
      const { told, html } = await bench('backends');
      expect(contestants(told)).toEqual(expect.arrayContaining(MAPS));
      expect(told.results.length).toBeGreaterThan(1);
      expect(html).toContain('descriptors watched');
    },
    TIMEOUT_MS,
  );

  test(
    'timers',
    async () => {
      const { told } = await bench('timers');
      expect(contestants(told)).toEqual(
        expect.arrayContaining(['asynchia-callIn', 'node-setTimeout']),
      );
    },
    TIMEOUT_MS,
  );
});

describe('the command line', () => {
  withCompiler(
    'the C programs are built once, and are kept when another copy of the package builds its own',
    async () => {
      const TMPDIR = mkdtempSync(path.join(folder, 'tmp-'));
      const copies = ['gone', 'here'].map((name) => {
        const copy = path.join(folder, name);
        cpSync(path.join(root, 'package.json'), path.join(copy, 'package.json'));
        cpSync(path.join(root, 'dist', 'bench'), path.join(copy, 'dist', 'bench'), {
          recursive: true,
        });
        cpSync(path.join(root, 'bench', 'native'), path.join(copy, 'bench', 'native'), {
          recursive: true,
        });
        return copy;
      });
      const startOf = (copy: string): Program => {
        const args = ['bench', 'echo', '--quick', '--json', '--only', 'c-epoll'];
        return new Program(process.execPath, [path.join(copy, 'dist/bench/cli.js'), ...args], {
          TMPDIR,
        });
      };
      for (const copy of copies) {
        // Several at once: one builds, and all find the programs.
        for (const program of [startOf(copy), startOf(copy)]) {
          expect([await program.ends(PATIENCE_MS), program.stderr]).toEqual([0, '']);
          expect(contestants(JSON.parse(program.stdout) as Told)).toEqual(['c-epoll']);
        }
        rmSync(copy, { recursive: true });
      }
      expect(readdirSync(TMPDIR)).toHaveLength(copies.length);
    },
    TIMEOUT_MS,
  );

  test('without a compiler, prints what it skips', async () => {
    const PATH = folder;
    const program = new Program(process.execPath, [cli, 'bench', 'echo', '--quick'], {
      PATH,
      TMPDIR: folder,
    });
    expect(await program.ends()).toBe(0);
    expect(program.stdout).toContain('there is no make');
    expect(program.stdout).toContain('echo, churn and idle are left out');
  });

  test('--json alone prints only JSON', async () => {
    const program = new Program(process.execPath, [cli, 'bench', 'timers', '--quick', '--json']);
    expect([await program.ends(), program.stderr]).toEqual([0, '']);
    expect(contestants(JSON.parse(program.stdout) as Told)).toContain('asynchia-callIn');
  });

  test('an invalid option is reported, and nothing is measured', async () => {
    const program = new Program(process.execPath, [cli, 'bench', 'echo', '--rounds', 'many']);
    expect(await program.ends()).toBe(1);
    expect(program.stderr).toContain('--rounds <n>');
    expect(program.stdout).toBe('');
  });

  test('--node measures programs on that Node, and the report names it', async () => {
    // Counts how often it is started, and says that it is another version.
    const node = path.join(folder, 'node');
    const started = path.join(folder, 'started');
    const versions = JSON.stringify({ ...process.versions, node: '99.1.2' });
    writeFileSync(
      node,
      `#!/bin/sh\necho "$*" >> '${started}'\n` +
        `test "$1" = -e && { echo '${versions}'; exit; }\nexec '${process.execPath}' "$@"\n`,
      { mode: 0o755 },
    );
    const { told } = await bench('timers', '--node', node);
    expect(told.machine.node).toBe('v99.1.2');
    const programs = readFileSync(started, 'utf8').split('\n');
    for (const name of ['asynchia-timers.js', 'node-timers.js']) {
      expect(programs.filter((line) => line.includes(name))).toHaveLength(1);
    }
  });

  test('a --node that is no Node is reported, and nothing is measured', async () => {
    for (const node of ['/nowhere/node', '/bin/false']) {
      const args = [cli, 'bench', 'timers', '--quick', '--node', node];
      const program = new Program(process.execPath, args);
      expect(await program.ends()).toBe(1);
      expect(program.stderr).toContain(`--node: ${node} does not run as Node`);
      expect(program.stdout).toBe('');
    }
  });

  test('an unknown contestant is reported', async () => {
    const program = new Program(process.execPath, [cli, 'bench', 'timers', '--only', 'nobody']);
    expect(await program.ends()).toBe(1);
    expect(program.stderr).toContain('nobody');
    expect(existsSync('asynchia-bench.html')).toBe(false);
  });
});

describe('rounds', () => {
  test('a quantile lies between two values where it falls between them', () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([1, 2, 3], 0.5)).toBe(2);
    expect(quantile([1, 2, 3], 1)).toBe(3);
    expect(quantile([], 0.5)).toBeNaN();
  });

  test('a summary keeps the values in the order of the rounds', () => {
    const values = [9, 1, 5];
    expect(summarise(values)).toMatchObject({ median: 5, values: [9, 1, 5] });
    expect(values).toEqual([9, 1, 5]);
  });

  test('ratios are taken within a round, so that a slow round cancels out', () => {
    expect(pairedRatios([2, 200, 2], [1, 100, 1])).toMatchObject({ median: 2, low: 2, high: 2 });
  });

  test('the order of contestants changes from round to round', () => {
    const names = ['a', 'b', 'c'];
    const orders = [0, 1, 2].map((round) => orderOfRound(names, round));
    expect(orders).toEqual([
      ['a', 'b', 'c'],
      ['a', 'c', 'b'],
      ['c', 'a', 'b'],
    ]);
    expect(orderOfRound([], 3)).toEqual([]);
  });

  test('a trial interleaves its contestants and compares each with its reference', async () => {
    const asked: string[] = [];
    const contestant = (name: string, times: number): Trial['contestants'][number] => ({
      name,
      measure(): Promise<Sample> {
        asked.push(name);
        return Promise.resolve({ us: times * asked.length });
      },
    });
    const trial: Trial = {
      scenario: 'none',
      title: 'none',
      parameters: {},
      figures: [{ key: 'us', label: 'time', unit: 'µs', compared: true }],
      reference: 'b',
      contestants: [contestant('a', 2), contestant('b', 1)],
    };
    const seen: string[] = [];
    const { standings } = await runTrial(trial, 2, (name) => seen.push(name));
    expect(asked).toEqual(['a', 'b', 'a', 'b']);
    expect(seen).toEqual(asked);
    expect(standings[0]?.figures['us']?.values).toEqual([2, 6]);
    expect(standings[0]?.ratios['us']?.values).toEqual([1, 1.5]);
  });
});

test('a list of CPUs may have ranges', () => {
  expect(parseCpuList('0-2,5')).toEqual([0, 1, 2, 5]);
});
