/**
 * The load: keeps a number of connections to the server's ports open; each plays a scenario
 * and is followed by another. Prints `ready` when all are open, and a sample for each line `sample`
 * on its standard input; at the line `end` it ends all, and prints the last sample.
 *
 *   load.js --ports JSON [--connections 5000] [--seed 1]
 */
import { createHistogram } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { type Scenario, SCENARIOS, type Surroundings } from './scenarios';
import { blockOf, Random, textOf } from './pattern';
import { Peer } from './peer';
import type { LoadSample, Ports } from './protocol';
import { cpuSeconds, Faults, tell } from './protocol';

/** Connections are opened in groups, with pauses. */
const FIRST_AT_ONCE = 50;
const REST_MS = 10;
/** The time limit for scenarios to end. */
const PATIENCE_MS = 45_000;
/** The system has no free port at the moment: no fault of the server. */
const NO_PORT = 'EADDRNOTAVAIL';

const { values } = parseArgs({
  options: {
    ports: { type: 'string', default: '{}' },
    connections: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
  },
});
const ports = JSON.parse(values.ports) as Ports;
const connectionCount = Number(values.connections);
const seed = Number(values.seed);

const block = blockOf(seed);
const faults = new Faults();
const latency = createHistogram({ figures: 3 });
const open = new Map<Peer, string>();
const done = { connections: 0, exchanges: 0, bytes: 0 };
const around: Surroundings = {
  block,
  text: textOf(block),
  isEnding: false,
  echoed(milliseconds) {
    latency.record(Math.max(1, Math.round(1000 * milliseconds)));
  },
  exchanged() {
    done.exchanges++;
  },
};

/** One connection after the other. */
async function connections({ name, service, play }: Scenario, random: Random): Promise<void> {
  while (!around.isEnding) {
    const peer = await connect(ports[service], name);
    if (peer === undefined) continue;
    done.connections++;
    open.set(peer, name);
    try {
      await play(peer, random, around);
    } catch (error) {
      faults.add(`${name}: ${String(error)}`);
      await peer.reset();
    }
    done.bytes += peer.received;
    open.delete(peer);
  }
}

async function connect(port: number, name: string): Promise<Peer | undefined> {
  try {
    return await Peer.connect(port);
  } catch (error) {
    const isFault = !(error instanceof Error && 'code' in error && error.code === NO_PORT);
    if (isFault) faults.add(`${name}: ${String(error)}`);
    await sleep(REST_MS);
    return undefined;
  }
}

function sample(): LoadSample {
  const at = (percent: number): number => latency.percentile(percent);
  const told = {
    open: open.size,
    ...done,
    cpuSeconds: cpuSeconds(),
    latency: { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: latency.max },
    ...faults.tell(),
  };
  latency.reset();
  return told;
}

/** The scenarios, each as often as its share. */
function shares(): Scenario[] {
  return SCENARIOS.flatMap((scenario) =>
    Array.from(
      { length: Math.max(1, Math.round(scenario.share * connectionCount)) },
      () => scenario,
    ),
  );
}

async function end(all: Promise<unknown>): Promise<void> {
  around.isEnding = true;
  for (const peer of open.keys()) peer.resume();
  const timer = sleep(PATIENCE_MS, undefined, { ref: false });
  await Promise.race([all, timer]);
  for (const name of open.values()) faults.add(`${name}: never answered, or never ended`);
  tell(sample());
}

async function run(): Promise<void> {
  const all: Promise<void>[] = [];
  const orders = createInterface({ input: process.stdin });
  orders.on('close', () => process.exit());
  process.on('SIGINT', () => undefined);
  for (const scenario of shares()) {
    const random = new Random(seed * 1_000_003 + all.length);
    all.push(connections(scenario, random));
    if (all.length % FIRST_AT_ONCE === 0) await sleep(REST_MS);
  }
  tell({ isReady: true });
  orders.on('line', (order) => {
    if (order === 'sample') tell(sample());
    else void end(Promise.all(all));
  });
}

void run();
