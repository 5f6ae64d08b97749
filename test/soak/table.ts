/** A run as tables, for a terminal. */
import { number } from '../../bench/report/format';
import { drawTable } from '../../bench/report/table';

import type { Run, Sample } from './conductor';
import { SCENARIOS } from './scenarios';
import type { Verdict } from './verdicts';

export function drawRun(run: Run, verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ what, measured, limit, verdict }) => [
    what,
    measured,
    limit,
    verdict,
  ]);
  const faults = [...run.after.faults, ...run.load.faults].map((fault) => `fault: ${fault}`);
  const table = drawTable(['', 'measured', 'limit', 'verdict'], rows);
  return `${[...describeRun(run), '', table, ...faults].join('\n')}\n`;
}

/** What the figures were measured with, and how much there was of it. */
function describeRun({ options, asynchia, machine, samples, load, date }: Run): string[] {
  const { minutes, connections, seed, map } = options;
  const { kernel, cpu, cores, node, libuv, loadAverage, pinning } = machine;
  const seconds = samples.at(-1)?.seconds ?? NaN;
  const count = (value: number): string => Math.round(value).toLocaleString('en');
  /** From the first sample to the last. */
  const perSecond = (of: (sample: Sample) => number): number => {
    const [first, last] = [samples.at(0), samples.at(-1)];
    if (first === undefined || last === undefined) return NaN;
    return (of(last) - of(first)) / (last.seconds - first.seconds);
  };
  const busy = (of: 'server' | 'load'): string =>
    count(100 * perSecond((sample) => sample[of].cpuSeconds));
  const lives = SCENARIOS.map(({ name, share }) => `${name} ${Number((100 * share).toFixed(1))} %`);
  return [
    `asynchia ${asynchia} on ${map}, Node ${node}, libuv ${libuv}, ${date}`,
    `${kernel}, ${cpu}, ${cores} cores; load average before: ${loadAverage.join(' ')}`,
    pinning === null ? 'not pinned' : `server on core ${pinning.measured}, load on ${pinning.load}`,
    `${number(seconds / 60)} of ${minutes} minutes, ${count(connections)} connections at a time, seed ${seed}:`,
    `  ${lives.join(', ')}`,
    `${count(load.connections)} connections, ${count(load.exchanges)} exchanges ` +
      `(${count(perSecond((sample) => sample.load.exchanges))} a second), ${count(load.bytes / 2 ** 20)} MiB checked`,
    `CPU: server ${busy('server')} %, load ${busy('load')} % of a core each`,
  ];
}
