/** The budgets, and whether they are met. */
import type { Bench } from '../bench';
import type { Progress } from '../progress';
import type { Summary } from '../rounds';
import { pairedRatios } from '../rounds';
import { runTrials } from '../run';
import type { Result, Trial } from '../trial';
import { checkTrials, NODE, openLoopTrials, OURS } from './trials';

type Results = Readonly<Record<string, Result>>;

interface Budget {
  readonly figure: string;
  /** Not more than this, or not less. */
  readonly most?: number;
  readonly least?: number;
  readonly unit: string;
  readonly measured: (results: Results) => Summary | undefined;
}

export interface Verdict {
  readonly figure: string;
  readonly budget: string;
  readonly unit: string;
  readonly measured: Summary | undefined;
  readonly verdict: 'met' | 'missed' | 'not measured';
}

function figure(trial: string, key: string, name: string): Budget['measured'] {
  return (results) => results[trial]?.standings.find((each) => each.name === name)?.figures[key];
}

function ratio(trial: string, key: string, name: string, to: string): Budget['measured'] {
  return (results) => {
    const mine = figure(trial, key, name)(results);
    const theirs = figure(trial, key, to)(results);
    if (mine === undefined || theirs === undefined) return undefined;
    return pairedRatios(mine.values, theirs.values);
  };
}

function atMost(most: number, name: string, measured: Budget['measured'], unit = '×'): Budget {
  return { figure: name, most, unit, measured };
}

function atLeast(least: number, name: string, measured: Budget['measured']): Budget {
  return { figure: name, least, unit: '×', measured };
}

const BUDGETS: readonly Budget[] = [
  atMost(1.12, 'CPU/message to C epoll', ratio('saturated', 'cpu', OURS, 'c-epoll')),
  atMost(1.1, 'the same with recvInto', ratio('saturated', 'cpu', `${OURS}-recvInto`, 'c-epoll')),
  atMost(0.95, 'CPU/message to Bun.listen', ratio('saturated', 'cpu', OURS, 'bun')),
  atMost(0.7, 'CPU/message to node:net', ratio('saturated', 'cpu', OURS, NODE)),
  atMost(0.2, 'user CPU/message to node:net', ratio('saturated', 'user', OURS, NODE)),
  atMost(
    1.03,
    'CPU/message, run() to runSync()',
    ratio('saturated', 'cpu', OURS, `${OURS}-runSync`),
  ),
  atLeast(1.5, '1,000 connections: rate to node:net', ratio('many', 'rate', OURS, NODE)),
  atLeast(1.1, '1 MB messages: rate to node:net', ratio('large', 'rate', OURS, NODE)),
  atLeast(
    3,
    'lines, pipelining 16: rate to node:net, a write a line',
    ratio('lines', 'rate', `${OURS}-lines`, 'node-net-lines'),
  ),
  atLeast(
    3,
    'the same to node:net corked',
    ratio('lines', 'rate', `${OURS}-lines`, 'node-net-corked'),
  ),
  atLeast(3, 'the same to node:net without lines', ratio('lines', 'rate', `${OURS}-lines`, NODE)),
  atMost(
    0.7,
    'p99 to node:net, both at half of node:net’s rate',
    ratio('sameRate', 'p99', OURS, NODE),
  ),
  atMost(0.7, 'p99 to node:net, each at half of its own', ratio('ownRate', 'p99', OURS, NODE)),
  atMost(0.5, 'churn: CPU/connection to node:net', ratio('churn', 'cpu', OURS, NODE)),
  atMost(1.4, 'churn: CPU/connection to C epoll', ratio('churn', 'cpu', OURS, 'c-epoll')),
  atMost(450, 'memory per idle connection', figure('idle', 'rss', OURS), 'B'),
  atMost(1 / 7, 'memory per idle connection to node:net', ratio('idle', 'rss', OURS, NODE)),
  atMost(
    1.2,
    'epoll turn, one active among 15,000 to one among 10',
    ratio('turns', 'loop', 'among-many', 'among-10'),
  ),
  atMost(
    5,
    'setTimeout lateness p99 in a saturated run()',
    figure('lateness', 'value', OURS),
    'ms',
  ),
  atMost(0.1, 'system calls/message besides recv and send', figure('syscalls', 'value', OURS), ''),
];

export async function check(
  bench: Bench,
  progress: Progress,
): Promise<{ results: Result[]; verdicts: Verdict[] }> {
  const results = await runNamed(bench, checkTrials(bench), progress);
  if (results['saturated'] !== undefined) {
    const openLoop = openLoopTrials(bench, results['saturated']);
    Object.assign(results, await runNamed(bench, openLoop, progress));
  }
  return { results: Object.values(results), verdicts: BUDGETS.map((each) => judge(each, results)) };
}

async function runNamed(
  bench: Bench,
  trials: Readonly<Record<string, Trial>>,
  progress: Progress,
): Promise<Record<string, Result>> {
  const results = await runTrials(bench, Object.values(trials), progress);
  return Object.fromEntries(
    Object.entries(trials).flatMap(([name, { title }]) => {
      const result = results.find((each) => each.title === title);
      return result === undefined ? [] : [[name, result]];
    }),
  );
}

function judge({ figure: name, most, least, unit, measured }: Budget, results: Results): Verdict {
  const summary = measured(results);
  const isMet =
    summary !== undefined &&
    summary.median <= (most ?? Infinity) &&
    summary.median >= (least ?? -Infinity);
  const limit = most === undefined ? `≥ ${least ?? 0}` : `≤ ${Number(most.toFixed(3))}`;
  return {
    figure: name,
    budget: `${limit}${unit === '' ? '' : ` ${unit}`}`,
    unit,
    measured: summary,
    verdict: summary === undefined ? 'not measured' : isMet ? 'met' : 'missed',
  };
}
