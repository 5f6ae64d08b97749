/** Starts the server and the load, each on its core, and samples both regularly. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { describeMachine, type Machine, pinned } from '../../bench/machine';
import { packageRoot, packageVersion } from '../../bench/package';
import { Program } from '../../bench/processes';
import type { Progress } from '../../bench/progress';

import type { LoadSample, Ports, ServerSample } from './protocol';

export interface SoakOptions {
  readonly minutes: number;
  readonly connections: number;
  readonly seed: number;
  readonly map: string;
}

export interface Sample {
  /** Since all connections were open. */
  readonly seconds: number;
  readonly server: ServerSample;
  readonly load: LoadSample;
}

/** The result of a run. */
export interface Run {
  readonly options: SoakOptions;
  readonly asynchia: string;
  readonly date: string;
  readonly machine: Machine;
  /** The server before the first connection, and after the last. */
  readonly before: ServerSample;
  readonly after: ServerSample;
  readonly samples: readonly Sample[];
  /** The last sample of the load. */
  readonly load: LoadSample;
  /** CPU use of the server, as a share of a core, when all connections are closed. */
  readonly cpuAtRest: number;
}

/** In an hour, one per 15 seconds. */
const SAMPLES = 240;
const LEAST_SECONDS_BETWEEN = 1;
const PATIENCE_MS = 60_000;
const LOOK_AGAIN_MS = 100;
const REST_SECONDS = 2;
/** The unit of CPU time in proc(5): USER_HZ, 100 on all systems with Node. */
const TICKS_PER_SECOND = 100;

function sampleCount({ minutes }: SoakOptions): number {
  return Math.max(2, Math.min(SAMPLES, Math.floor((60 * minutes) / LEAST_SECONDS_BETWEEN)));
}

/** Runs the soak. If `stop` is aborted it ends early, with the samples so far. */
export async function soak(
  options: SoakOptions,
  progress: Progress,
  stop: AbortSignal,
): Promise<Run> {
  const machine = describeMachine(process.execPath);
  const start = (name: string, role: 'measured' | 'load', ...args: string[]): Program => {
    const script = path.join(packageRoot, 'dist', 'soak', `${name}.js`);
    const command = [process.execPath, '--expose-gc', script, '--seed', String(options.seed)];
    return new Program(pinned([...command, ...args], machine.pinning, role));
  };
  const server = start('server', 'measured', '--map', options.map);
  const ports = (await server.json()) as Ports;
  const before = await sampleOf<ServerSample>(server);
  const told = ['--ports', JSON.stringify(ports), '--connections', String(options.connections)];
  const load = start('load', 'load', ...told);
  await load.line(PATIENCE_MS);

  const samples = await sampleAll(options, server, load, progress, stop);
  load.say('end');
  const last = (await load.json(PATIENCE_MS)) as LoadSample;
  const after = await settled(server);
  const cpuAtRest = await measureCpu(server.pid);
  await Promise.all([load.end(), server.end()]);
  return {
    options,
    asynchia: packageVersion,
    date: new Date().toISOString(),
    machine,
    before,
    after,
    samples,
    load: last,
    cpuAtRest,
  };
}

async function sampleAll(
  options: SoakOptions,
  server: Program,
  load: Program,
  progress: Progress,
  stop: AbortSignal,
): Promise<Sample[]> {
  const count = sampleCount(options);
  const samples: Sample[] = [];
  const startedMs = performance.now();
  progress.start(count);
  // Latencies while connections are opened are no part of the first sample.
  await sampleOf<LoadSample>(load);
  while (samples.length < count) {
    const seconds = (60 * options.minutes * (samples.length + 1)) / count;
    try {
      await sleep(startedMs + 1000 * seconds - performance.now(), undefined, { signal: stop });
    } catch {
      break;
    }
    samples.push({ seconds, server: await sampleOf(server), load: await sampleOf(load) });
    progress.step(describe(samples.at(-1)));
  }
  progress.stop();
  return samples;
}

async function sampleOf<S extends ServerSample | LoadSample>(program: Program): Promise<S> {
  program.say('sample');
  return (await program.json(PATIENCE_MS)) as S;
}

/** The server after its last connection is closed, or after a time limit. */
async function settled(server: Program): Promise<ServerSample> {
  for (let waitedMs = 0; ; waitedMs += LOOK_AGAIN_MS) {
    const sample = await sampleOf<ServerSample>(server);
    if (sample.handlers === 0 || waitedMs > PATIENCE_MS) return sample;
    await sleep(LOOK_AGAIN_MS);
  }
}

async function measureCpu(pid: number): Promise<number> {
  const before = cpuTicks(pid);
  await sleep(1000 * REST_SECONDS);
  return (cpuTicks(pid) - before) / TICKS_PER_SECOND / REST_SECONDS;
}

function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in brackets, may hold anything; user and system time are the 14th and 15th field.
  const [user = NaN, system = NaN] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
    .map(Number);
  return user + system;
}

function describe(sample: Sample | undefined): string {
  if (sample === undefined) return '';
  const { server, load } = sample;
  const rss = Math.round(server.rss / 2 ** 20);
  const faults = server.faultCount + load.faultCount;
  return `${load.open} connections, ${rss} MiB, p99 ${load.latency.p99} µs, ${faults} faults`;
}
