/** A run as a plot: memory, descriptors, latency and rate over time. */
import { number } from '../../bench/report/format';
import { panelPlot } from '../../bench/report/plot';

import type { Run, Sample } from './conductor';
import { secondHalf, trendOf, WATCHED } from './verdicts';

const COLOURS = ['#2f6f9f', '#e08e45', '#7a9e5f', '#b04a5a'];

export function plotRun({ options, samples }: Run): string {
  const minutes = (sample: Sample): number => sample.seconds / 60;
  const over = (of: (sample: Sample) => number): [number, number][] =>
    samples.map((sample) => [minutes(sample), of(sample)]);
  const color = (i: number): string => COLOURS[i] ?? '#555555';
  /** The straight line through the second half. */
  const trendLine = (of: (sample: Sample) => number): [number, number][] => {
    const half = secondHalf(samples);
    const { mean, growth } = trendOf(half.map((sample) => [sample.seconds, of(sample)]));
    return [half.at(0), half.at(-1)].flatMap((sample, i) =>
      sample === undefined ? [] : [[minutes(sample), mean + growth * (i - 0.5)]],
    );
  };
  const memory = WATCHED.filter(({ unit }) => unit === 'MiB');
  const rates = samples.slice(1).map((sample, i): [number, number] => {
    const { load, seconds } = samples[i] ?? sample;
    return [minutes(sample), (sample.load.exchanges - load.exchanges) / (sample.seconds - seconds)];
  });
  return panelPlot(
    `${number((samples.at(-1)?.seconds ?? NaN) / 60)} minutes of mixed load, ${options.connections.toLocaleString('en')} ` +
      `connections, ${options.map}, seed ${options.seed}`,
    'minutes',
    [
      {
        yName: 'MiB',
        lines: memory.flatMap(({ what, of }, i) => [
          { name: what, color: color(i), points: over(of) },
          { name: 'trend', color: '#222222', isDashed: true, points: trendLine(of) },
        ]),
      },
      {
        yName: 'open',
        lines: [
          {
            name: 'descriptors',
            color: color(0),
            points: over(({ server }) => server.descriptors),
          },
          {
            name: 'connections',
            color: color(1),
            isDashed: true,
            points: over(({ server }) => server.handlers),
          },
        ],
      },
      {
        yName: 'ms',
        isLogarithmic: true,
        lines: (['p50', 'p90', 'p99', 'p999'] as const).map((key, i) => ({
          name: key === 'p999' ? 'latency p99.9' : `latency ${key}`,
          color: color(i),
          points: over(({ load }) => load.latency[key] / 1000),
        })),
      },
      { yName: '1/s', lines: [{ name: 'exchanges', color: color(0), points: rates }] },
    ],
  );
}
