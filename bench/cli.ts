/** The command line: `asynchia bench …`. */
import { writeFileSync } from 'node:fs';

import { Command, InvalidArgumentError, Option } from 'commander';

import type { BenchOptions } from './bench';
import { Bench } from './bench';
import { check } from './check/budgets';
import { packageVersion } from './package';
import { listPeers, ownNode } from './peers';
import { makeProgress } from './progress';
import { drawHtml } from './report/html';
import { drawReport } from './report/table';
import type { Report, ScenarioName } from './run';
import { makeReport, runTrials, SCENARIOS } from './run';
import type { Trial } from './trial';

/** What commander makes of the options. */
interface Given {
  readonly rounds?: number;
  readonly seconds?: number;
  readonly warmup?: number;
  readonly json?: string | true;
  readonly html?: string | true;
  readonly only?: string[];
  readonly connections?: number[];
  readonly size?: number[];
  readonly pipeline?: number[];
  readonly rate?: number;
  readonly node?: string;
  readonly quick?: true;
  readonly full?: true;
}

const ABOUT: Readonly<Record<ScenarioName, string>> = {
  backends:
    'What a turn costs by the number of descriptors watched, on select, poll and epoll, ' +
    'against libevent on the same: pairs of sockets, ten of them active, a hundred chained writes.',
  echo:
    'Messages back and forth on open connections: rate, latency and CPU per message of every map, ' +
    'of C, libevent, node:net, and Bun and Deno where they are installed.',
  churn: 'Connect, one exchange, close: connections per second, and the CPU of each.',
  idle: 'Memory of a connection that does nothing, at 15,000 of them, and what one active among them costs.',
  timers: 'A million timers armed, cancelled and fired, against setTimeout.',
};

const EXAMPLES = `
Examples:
  asynchia bench echo --only asynchia-epoll,node-net --rounds 11
  asynchia bench echo --connections 1,50,1000 --size 64 --pipeline 1,16 --html
  asynchia bench echo --rate 50000          # open loop: latency at a fixed rate
  asynchia bench backends --html backends.html
  asynchia bench all --quick                # does it work here?

The measured program and its load run on a core each, pinned with taskset. The load generator and
the servers in C are built when they are first needed: that takes a C compiler and make, and for
libevent its headers (Debian: libevent-dev). Rounds are interleaved, and ratios taken pair by pair,
so that a machine that is busy now and then disturbs all alike. User CPU is sampled by the kernel's
clock ticks: trust it from runs of several seconds.`;

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

function whole(text: string): number {
  if (!Number.isInteger(positive(text))) {
    throw new InvalidArgumentError('It must be a whole number.');
  }
  return Number(text);
}

const numbers = (text: string): number[] => text.split(',').map(whole);
const names = (text: string): string[] => text.split(',');

function withOptions(command: Command): Command {
  const add = (flags: string, about: string, parse: (text: string) => unknown): void => {
    command.addOption(new Option(flags, about).argParser(parse));
  };
  add('-r, --rounds <n>', 'how often each is measured, in turn (default: 5)', whole);
  add('-s, --seconds <s>', 'how long each time (default: 2)', positive);
  add('--warmup <s>', 'how long it runs before that (default: 0.5)', positive);
  add('--only <names>', 'whom to measure, such as asynchia-epoll,node-net', names);
  add('--connections <n>', 'how many at a time; several, apart by commas, for echo', numbers);
  add('--size <bytes>', 'of a message; several for echo', numbers);
  add('--pipeline <n>', 'messages outstanding on each connection (echo); several', numbers);
  add('--rate <n>', 'open loop: so many messages a second, at fixed times (echo)', whole);
  return command
    .option(
      '--node <path>',
      'the Node to measure, us and node:net (default: the one that runs this)',
    )
    .option('--full', 'every size, not only a sensible few')
    .option('--quick', 'tiny: does it work? The figures mean nothing')
    .option('--json [file]', 'JSON to the file, or in place of the table')
    .option('--html [file]', 'a report with plots (default: asynchia-bench.html)');
}

function optionsFrom(given: Given): BenchOptions {
  const quick = given.quick === true;
  return {
    rounds: given.rounds ?? (quick ? 1 : 5),
    seconds: given.seconds ?? (quick ? 0.1 : 2),
    warmup: given.warmup ?? (quick ? 0.05 : 0.5),
    quick,
    full: given.full === true,
    only: given.only ?? [],
    connections: given.connections ?? [],
    sizes: given.size ?? [],
    pipelines: given.pipeline ?? [],
    rate: given.rate,
    node: given.node ?? ownNode.path,
  };
}

async function run(scenarios: readonly ScenarioName[], given: Given): Promise<void> {
  const bench = await Bench.prepare(optionsFrom(given));
  const trials = scenarios.flatMap((name) => SCENARIOS[name](bench));
  assertKnown(bench, trials);
  const results = await runTrials(bench, trials, makeProgress());
  const report = makeReport(bench, results);
  tell(report, given);
}

/** A name in --only that nobody has is a slip, and not a wish for an empty table. */
function assertKnown(bench: Bench, trials: readonly Trial[]): void {
  const known = new Set(bench.peers.map(({ name }) => name));
  for (const { contestants } of trials) for (const { name } of contestants) known.add(name);
  const unknown = bench.options.only.find((name) => !known.has(name));
  if (unknown === undefined) return;
  throw new Error(`--only: nobody here is called '${unknown}'; there are ${[...known].join(', ')}`);
}

function tell(report: Report, given: Given): void {
  if (given.html !== undefined) {
    writeFileSync(given.html === true ? 'asynchia-bench.html' : given.html, drawHtml(report));
  }
  if (typeof given.json === 'string') writeFileSync(given.json, JSON.stringify(report, null, 2));
  process.stdout.write(
    given.json === true ? `${JSON.stringify(report)}\n` : drawReport(report) + '\n',
  );
}

async function runCheck(given: Given): Promise<void> {
  const bench = await Bench.prepare(optionsFrom(given));
  const { results, verdicts } = await check(bench, makeProgress());
  tell({ ...makeReport(bench, results), verdicts }, given);
}

function listNames(): string {
  const peers = listPeers({ find: () => undefined, notes: [] }, ownNode);
  return ['', 'Names:', ...peers.map(({ name, about }) => `  ${name.padEnd(25)}${about}`)].join(
    '\n',
  );
}

const program = new Command('asynchia')
  .description('asynchia: real select, poll and epoll for Node.js. This command measures them.')
  .version(packageVersion);
const bench = program
  .command('bench')
  .description('Measure the maps and their peers on this machine.')
  .addHelpText('after', EXAMPLES);
const all = Object.keys(SCENARIOS) as ScenarioName[];
for (const name of all) {
  const command = withOptions(bench.command(name).description(ABOUT[name]));
  command.action((given: Given) => run([name], given));
  if (name === 'echo' || name === 'churn' || name === 'idle') {
    command.addHelpText('after', listNames);
  }
}
withOptions(bench.command('all').description('All of these, one after the other.')).action(
  (given: Given) => run(all, given),
);

withOptions(
  bench
    .command('check')
    .description('The project’s budgets in short form: each figure, its budget, and the verdict.'),
).action(runCheck);

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  // At once: programs that were started are still there, and end with this one.
  process.exit(1);
});
