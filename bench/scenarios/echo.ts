/** Messages back and forth on connections that stay open. */
import type { Bench } from '../bench';
import type { Load } from '../load';
import { figuresOf, measureLoad } from '../load';
import type { Trial } from '../trial';

interface Shape {
  readonly size: number;
  readonly connections: number;
  readonly pipeline: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** The first is the one most often quoted. */
const USUAL: readonly Shape[] = [
  { size: 64, connections: 50, pipeline: 1 },
  { size: 64, connections: 1, pipeline: 1 },
  { size: 64, connections: 1000, pipeline: 1 },
  { size: 64, connections: 50, pipeline: 16 },
  { size: 64 * KIB, connections: 50, pipeline: 1 },
  { size: MIB, connections: 50, pipeline: 1 },
];
const QUICK: readonly Shape[] = [{ size: 64, connections: 4, pipeline: 2 }];

/** Bytes under way at a time; above it, it is memory that is measured. */
const MOST_UNDER_WAY = 1024 * MIB;

export function echo(bench: Bench): Trial[] {
  return shapes(bench).map((shape) => echoTrial(bench, { ...shape, rate: bench.options.rate }));
}

/** All peers that are asked for, or those of `names`, under one load. */
export function echoTrial(
  bench: Bench,
  load: Shape & { rate?: number | undefined },
  names?: readonly string[],
): Trial {
  const { size, connections, pipeline, rate } = load;
  const given: Load = { mode: 'stream', ...load };
  const isAsked = (name: string): boolean => names?.includes(name) ?? bench.wants(name);
  return {
    scenario: 'echo',
    title: `echo: ${describe(load)}`,
    parameters: { size, connections, pipeline, ...(rate === undefined ? {} : { rate }) },
    figures: figuresOf('message'),
    reference: 'node-net',
    contestants: bench
      .servers()
      .filter(({ name }) => isAsked(name))
      .map((peer) => ({ name: peer.name, measure: () => measureLoad(bench, peer, given) })),
  };
}

function shapes(bench: Bench): readonly Shape[] {
  const { sizes, connections, pipelines, full, quick } = bench.options;
  const isGiven = [sizes, connections, pipelines].some((list) => list.length > 0);
  if (!isGiven && !full) return quick ? QUICK : USUAL;
  const or = (given: readonly number[], usual: number[], all: number[]): readonly number[] => {
    if (given.length > 0) return given;
    return full ? all : usual;
  };
  const grid = or(sizes, [64], [64, KIB, 64 * KIB, MIB]).flatMap((size) =>
    or(connections, [50], [1, 50, 1000]).flatMap((count) =>
      or(pipelines, [1], [1, 16]).map((pipeline) => ({ size, connections: count, pipeline })),
    ),
  );
  const fits = (shape: Shape): boolean =>
    shape.size * shape.connections * shape.pipeline <= MOST_UNDER_WAY;
  for (const shape of grid.filter((each) => !fits(each))) {
    bench.note(`echo: ${describe(shape)} is left out: over 1 GiB under way at a time.`);
  }
  return grid.filter(fits);
}

function describe({
  size,
  connections,
  pipeline,
  rate,
}: Shape & { rate?: number | undefined }): string {
  const bytes = size >= MIB ? `${size / MIB} MB` : size >= KIB ? `${size / KIB} KB` : `${size} B`;
  const on = `${bytes} on ${connections} connection${connections === 1 ? '' : 's'}`;
  const flow = rate === undefined ? '' : `, open loop at ${rate}/s`;
  return `${on}${pipeline === 1 ? '' : `, pipelining ${pipeline}`}${flow}`;
}
