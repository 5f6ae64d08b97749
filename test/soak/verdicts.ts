/** The verdicts of a run: figures, limits, and whether they were kept. */
import type { Run, Sample } from './conductor';

/** The change of a figure over time, with its 95 % confidence interval. */
export interface Trend {
  readonly mean: number;
  /** From the start to the end of that time. */
  readonly growth: number;
  readonly low: number;
  readonly high: number;
}

export interface Verdict {
  readonly what: string;
  readonly measured: string;
  readonly limit: string;
  readonly verdict: 'kept' | 'broken' | 'unclear' | 'too short';
}

export type Point = readonly [x: number, y: number];

/** Of the normal distribution: 95 % are within so many standard deviations. */
const Z = 1.96;
/** Before that, memory still grows to its working size. */
const LEAST_MINUTES = 10;
/** Limits of growth in the second half, relative to mean resident memory, or to the mean latency. */
const MOST_MEMORY_GROWTH = 0.02;
const MOST_LATENCY_GROWTH = 0.2;
const MOST_CPU_AT_REST = 0.05;

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Least squares. Residuals are autocorrelated: the more they
 * are, the less each sample counts.
 */
export function trendOf(points: readonly Point[]): Trend {
  const count = points.length;
  const meanX = meanOf(points.map(([x]) => x));
  const mean = meanOf(points.map(([, y]) => y));
  const sum = (term: (x: number, y: number) => number): number =>
    points.reduce((total, [x, y]) => total + term(x - meanX, y - mean), 0);
  const squares = sum((x) => x * x);
  const slope = sum((x, y) => x * y) / squares;
  const left = points.map(([x, y]) => y - mean - slope * (x - meanX));
  const leftSquares = left.reduce((total, each) => total + each * each, 0);
  const repeated = left.reduce((total, each, i) => total + each * (left[i - 1] ?? 0), 0);
  const correlation = leftSquares === 0 ? 0 : Math.max(0, repeated / leftSquares);
  const freedom = (count * (1 - correlation)) / (1 + correlation) - 2;
  // Student's distribution out of the normal one (Abramowitz and Stegun, 26.7.5).
  const student = freedom > 0 ? Z + (Z ** 3 + Z) / (4 * freedom) : Infinity;
  const error = leftSquares === 0 ? 0 : student * Math.sqrt(leftSquares / freedom / squares);
  const length = (points.at(-1)?.[0] ?? NaN) - (points[0]?.[0] ?? NaN);
  return {
    mean,
    growth: slope * length,
    low: (slope - error) * length,
    high: (slope + error) * length,
  };
}

/** The samples of the second half. */
export function secondHalf(samples: readonly Sample[]): readonly Sample[] {
  return samples.slice(Math.floor(samples.length / 2));
}

export interface Watched {
  readonly what: string;
  readonly unit: 'MiB' | 'ms';
  readonly of: (sample: Sample) => number;
}

const MIB = 2 ** 20;

/** The figures checked for growth. */
export const WATCHED: readonly Watched[] = [
  { what: 'resident memory', unit: 'MiB', of: ({ server }) => server.rss / MIB },
  { what: 'heap in use', unit: 'MiB', of: ({ server }) => server.heapUsed / MIB },
  { what: 'external memory', unit: 'MiB', of: ({ server }) => server.external / MIB },
  { what: 'latency p50', unit: 'ms', of: ({ load }) => load.latency.p50 / 1000 },
  { what: 'latency p99', unit: 'ms', of: ({ load }) => load.latency.p99 / 1000 },
];

export function judge(run: Run): Verdict[] {
  const { before, after, samples, load, cpuAtRest } = run;
  const isLongEnough = (samples.at(-1)?.seconds ?? 0) >= 60 * LEAST_MINUTES;
  const count = (value: number): string => value.toLocaleString('en');
  const exactly = (what: string, measured: string, limit: string, isKept: boolean): Verdict => ({
    what,
    measured,
    limit,
    verdict: isKept ? 'kept' : 'broken',
  });
  const strays = samples.map(({ server }) => server.descriptors - server.handlers);
  const own = before.descriptors;
  return [
    exactly(
      'bytes intact',
      `${count(load.bytes)} bytes, ${count(load.faultCount)} faults`,
      'no fault',
      load.bytes > 0 && load.faultCount === 0,
    ),
    exactly(
      'nothing told twice',
      `${count(after.accepted)} handlers, ${count(after.faultCount)} faults`,
      'no fault',
      after.accepted > 0 && after.faultCount === 0,
    ),
    exactly(
      'every handler cleaned up',
      `${count(after.cleanedUp)} of ${count(after.accepted)}`,
      'all',
      after.cleanedUp === after.accepted && after.accepted >= load.connections,
    ),
    exactly(
      'descriptors besides handlers',
      `${Math.min(...strays)} to ${Math.max(...strays)}, ${after.descriptors} after`,
      `always ${own}`,
      strays.every((stray) => stray === own) && after.descriptors === own,
    ),
    exactly(
      'CPU at rest',
      `${(100 * cpuAtRest).toFixed(1)} % of a core`,
      `under ${100 * MOST_CPU_AT_REST} %`,
      cpuAtRest < MOST_CPU_AT_REST,
    ),
    ...WATCHED.map(({ what, unit, of }): Verdict => {
      const half = secondHalf(samples);
      const trend = trendOf(half.map((each) => [each.seconds, of(each)]));
      const most =
        unit === 'MiB'
          ? MOST_MEMORY_GROWTH * meanOf(half.map(({ server }) => server.rss / MIB))
          : MOST_LATENCY_GROWTH * trend.mean;
      const { growth, low, high } = trend;
      const range = `${signed(growth)} (${signed(low)} to ${signed(high)})`;
      return {
        what: `${what}, second half`,
        measured: `${trend.mean.toFixed(2)} ${unit}, ${range}`,
        limit: `under ${signed(most)} ${unit}`,
        verdict: isLongEnough ? judgeGrowth(trend, most) : 'too short',
      };
    }),
  ];
}

/** Kept if the growth is certainly under `most`, broken if it certainly is not. */
export function judgeGrowth({ low, high }: Trend, most: number): Verdict['verdict'] {
  if (high < most) return 'kept';
  return low > most ? 'broken' : 'unclear';
}

function signed(value: number): string {
  return `${value < 0 ? '' : '+'}${value.toFixed(2)}`;
}
