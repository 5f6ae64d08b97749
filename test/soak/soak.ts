/** The command: `npm run check -- soak --minutes 60`. */
import { writeFileSync } from 'node:fs';

import { Command, InvalidArgumentError, Option } from 'commander';

import { makeProgress } from '../../bench/progress';

import { soak } from './conductor';
import { plotRun } from './plot';
import { drawRun } from './table';
import { judge } from './verdicts';

interface Given {
  readonly minutes: number;
  readonly connections: number;
  readonly seed: number;
  readonly map: string;
  readonly json?: string;
  readonly svg?: string;
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

function whole(text: string): number {
  if (!Number.isInteger(positive(text))) throw new InvalidArgumentError('It must be whole.');
  return Number(text);
}

async function run({ json, svg, ...options }: Given): Promise<void> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const told = await soak(options, makeProgress(), stop.signal);
  const verdicts = judge(told);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ ...told, verdicts })}\n`);
  if (svg !== undefined) writeFileSync(svg, plotRun(told));
  process.stdout.write(drawRun(told, verdicts));
  if (verdicts.some(({ verdict }) => verdict === 'broken')) process.exitCode = 1;
}

const options = [
  new Option('-m, --minutes <n>', 'how long').argParser(positive).default(60),
  new Option('-c, --connections <n>', 'how many at a time').argParser(whole).default(5000),
  new Option('--seed <n>', 'of what is sent, and when').argParser(whole).default(1),
  new Option('--map <name>', 'whose map').choices(['select', 'poll', 'epoll']).default('epoll'),
  new Option('--json <file>', 'all samples and verdicts, for programs'),
  new Option('--svg <file>', 'a plot'),
];
const program = new Command('npm run check -- soak').description(
  'A server under mixed load (echo, lines, slow readers, timers, churn, resets, half-closes) for ' +
    'long: every byte is checked, memory and latency are watched, and a verdict comes of it. ' +
    'Ctrl-C ends it before its time, with the verdicts of what it has seen.',
);
for (const option of options) program.addOption(option);
program.action(run);
program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  // At once: programs that were started are still there, and end with this one.
  process.exit(1);
});
