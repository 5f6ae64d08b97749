/** Results as tables, for a terminal. */
import Table from 'cli-table3';

import type { Verdict } from '../check/budgets';
import type { Report } from '../run';
import type { Figure, Result } from '../trial';
import { number, range, ratio, withSpread } from './format';

/** The columns of a result: each figure, and after a compared one its ratio. */
export function tableOf({ figures, standings, reference }: Result): {
  head: string[];
  rows: string[][];
} {
  const sameReference = standings.every(({ against }) => against === reference);
  const heading = ({ label, unit, compared }: Figure): string[] => [
    unit === '' ? label : `${label}\n${unit}`,
    ...(compared === true ? [`to\n${sameReference ? reference : 'libevent'}`] : []),
  ];
  const rows = standings.map(({ name, figures: values, ratios, against }) => [
    name,
    ...figures.flatMap(({ key, compared }) => {
      const value = values[key];
      const compare = ratios[key];
      return [
        value === undefined ? '-' : withSpread(value),
        ...(compared !== true
          ? []
          : [compare === undefined || against === name ? '' : ratio(compare)]),
      ];
    }),
  ]);
  return { head: ['', ...figures.flatMap(heading)], rows };
}

/** Plain text, the numbers to the right. */
export function drawTable(head: readonly string[], rows: readonly string[][]): string {
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, i) => (i === 0 ? 'left' : 'right')),
  });
  table.push(...rows);
  return table.toString();
}

/** What the figures were measured with: to be read beside them. */
export function describeRun({ asynchia, machine, rounds, seconds, versions }: Report): string[] {
  const { kernel, cpu, cores, memoryGiB, node, libuv, loadAverage, pinning } = machine;
  const pins =
    pinning === null
      ? 'none'
      : `measured on core ${pinning.measured}, load on core ${pinning.load}`;
  const peers = Object.entries(versions).filter(([name]) => !/^(asynchia|node)-/.test(name));
  return [
    `asynchia ${asynchia}, Node ${node}, libuv ${libuv}`,
    `${kernel}, ${cpu}, ${cores} cores, ${memoryGiB} GiB`,
    `pinning: ${pins}; load average before: ${loadAverage.join(' ')}`,
    `${rounds} interleaved round${rounds === 1 ? '' : 's'}, ${seconds} s each`,
    ...(peers.length > 0 ? [peers.map((peer) => peer.join(' ')).join(', ')] : []),
  ];
}

export const HOW_TO_READ =
  'Medians of the rounds, ± half of what lies between their 10th and 90th percentile; ratios (×) are ' +
  'medians of the ratios within each round.';

export function verdictTable(verdicts: readonly Verdict[]): { head: string[]; rows: string[][] } {
  const rows = verdicts.map(({ figure, budget, unit, measured, verdict }) => {
    const value = measured === undefined ? '' : `${number(measured.median)} ${unit}`.trim();
    return [figure, budget, value, measured === undefined ? '' : range(measured), verdict];
  });
  return { head: ['figure', 'budget', 'measured', '10th to 90th', 'verdict'], rows };
}

export function drawReport(report: Report): string {
  const tables = report.results.map((result) => {
    const { head, rows } = tableOf(result);
    return `${result.title}\n${drawTable(head, rows)}\n`;
  });
  if (report.verdicts !== undefined) {
    const { head, rows } = verdictTable(report.verdicts);
    tables.push(`budgets\n${drawTable(head, rows)}\n`);
  }
  const notes = report.notes.map((note) => `note: ${note}`);
  return [...describeRun(report), HOW_TO_READ, '', ...tables, ...notes].join('\n');
}
