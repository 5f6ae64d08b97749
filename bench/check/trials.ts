/** What is measured for the budgets: the scenarios in short form, and what only a budget asks for. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Bench } from '../bench';
import { EchoServer, figuresOf, measureLoad } from '../load';
import { program } from '../package';
import type { ServingPeer } from '../peers';
import { numberIn } from '../processes';
import { BACKENDS_FIGURES, chainOf } from '../scenarios/backends';
import { churn } from '../scenarios/churn';
import { echoTrial } from '../scenarios/echo';
import { idle } from '../scenarios/idle';
import type { Contestant, Figure, Result, Sample, Trial } from '../trial';

/** Of an open loop: short, that a stall of the machine falls into few of them. */
const WINDOWS = 5;
const WINDOW_SECONDS = 0.5;

const SMALL = { size: 64, connections: 50, pipeline: 1 };

export const OURS = 'asynchia-epoll';
export const NODE = 'node-net';

export function checkTrials(bench: Bench): Record<string, Trial> {
  const trials: Record<string, Trial> = {
    saturated: echoTrial(bench, SMALL, [
      OURS,
      `${OURS}-recvInto`,
      `${OURS}-runSync`,
      'c-epoll',
      'bun',
      NODE,
    ]),
    many: echoTrial(bench, { ...SMALL, connections: 1000 }, [OURS, NODE]),
    large: echoTrial(bench, { ...SMALL, size: 2 ** 20 }, [OURS, NODE]),
    lines: echoTrial(bench, { ...SMALL, pipeline: 16 }, [
      `${OURS}-lines`,
      'node-net-lines',
      'node-net-corked',
      NODE,
    ]),
    turns: turnsTrial(bench),
  };
  const [churning] = churn(bench, [OURS, 'c-epoll', NODE]);
  if (churning !== undefined) trials['churn'] = churning;
  const [idling] = idle(bench, [OURS, NODE]);
  if (idling !== undefined) trials['idle'] = idling;
  const ours = bench.servers().find(({ name }) => name === OURS);
  if (ours !== undefined) {
    trials['lateness'] = singleTrial('lateness of setTimeout', 'ms', OURS, () =>
      measureLateness(bench, ours),
    );
    if (spawnSync('strace', ['-V']).status === 0) {
      trials['syscalls'] = singleTrial('system calls besides recv and send', '', OURS, () =>
        countSystemCalls(bench, ours),
      );
    } else {
      bench.note('System calls are not counted: strace is not installed.');
    }
  }
  return trials;
}

/** Open loop, each at half of the rate that it, or node:net, is saturated at. */
export function openLoopTrials(bench: Bench, saturated: Result): Record<string, Trial> {
  const rateOf = (name: string): number =>
    saturated.standings.find((standing) => standing.name === name)?.figures['rate']?.median ?? 0;
  const trial = (title: string, half: (name: string) => number): Trial => ({
    scenario: 'check',
    title,
    parameters: {},
    figures: figuresOf('message'),
    reference: NODE,
    contestants: bench
      .servers()
      .filter(({ name }) => (name === OURS || name === NODE) && rateOf(name) > 0)
      .map((peer) => {
        const rate = Math.max(1, Math.round(half(peer.name)));
        const seconds = Math.min(WINDOW_SECONDS, bench.options.seconds);
        const load = { mode: 'stream', size: 64, connections: 50, rate, seconds } as const;
        return { name: peer.name, measure: () => measureLoad(bench, peer, load, WINDOWS) };
      }),
  });
  return {
    sameRate: trial('open loop, both at half of node:net’s rate', () => rateOf(NODE) / 2),
    ownRate: trial('open loop, each at half of its own rate', (name) => rateOf(name) / 2),
  };
}

function turnsTrial(bench: Bench): Trial {
  const many = bench.options.quick ? 100 : 15_000;
  const ours = [bench.options.node, program('asynchia-backends')];
  const chain = { active: 1, writes: 1, repeat: bench.options.quick ? 10 : 2000, isSteady: true };
  return {
    scenario: 'check',
    title: `an epoll turn with one active among ${many.toLocaleString('en')}`,
    parameters: { watched: many },
    figures: BACKENDS_FIGURES.filter(({ key }) => key === 'loop'),
    reference: 'among-10',
    contestants: [
      chainOf(bench, 'among-many', 'among-10', ours, 'epoll', { ...chain, watched: many }),
      chainOf(bench, 'among-10', undefined, ours, 'epoll', { ...chain, watched: 10 }),
    ],
  };
}

function singleTrial(
  label: string,
  unit: string,
  name: string,
  measure: Contestant['measure'],
): Trial {
  const figures: Figure[] = [{ key: 'value', label, unit }];
  const contestants = [{ name, measure }];
  return { scenario: 'check', title: label, parameters: {}, figures, reference: name, contestants };
}

/** The 99th percentile of how late Node's own timers come while the map is saturated. */
async function measureLateness(bench: Bench, peer: ServingPeer): Promise<Sample> {
  const server = await EchoServer.start(bench, peer, '--probe');
  const load = server.load(bench, { mode: 'stream', ...SMALL });
  await load.json();
  await load.end();
  await server.end();
  return { value: numberIn(await server.program.json(), 'timer_lateness_ms', 'p99') };
}

/** System calls of a steady echo that are neither recv nor send, per recv. */
async function countSystemCalls(bench: Bench, peer: ServingPeer): Promise<Sample> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-strace-'));
  const file = path.join(folder, 'counts');
  const server = await EchoServer.start(bench, peer);
  const { seconds, warmup, quick } = bench.options;
  // strace takes its time to come and go; the load is there before and after.
  const margin = quick ? 0.2 : 1;
  const load = server.load(bench, { mode: 'stream', ...SMALL, seconds: seconds + 2 * margin });
  await sleep(1000 * (warmup + margin / 2));
  const traced = String(server.program.pid);
  const strace = bench.start(['strace', '-f', '-c', '-o', file, '-p', traced], 'load');
  await untilTraced(server.program.pid);
  await sleep(1000 * (seconds + margin / 2));
  // It writes its counts when it is interrupted.
  await strace.end('SIGINT');
  await load.json();
  await load.end();
  await server.end();
  const counts = parseCounts(readFileSync(file, 'utf8'));
  rmSync(folder, { recursive: true });
  const messages = counts.get('recvfrom') ?? 0;
  const transfers = messages + (counts.get('sendto') ?? 0);
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return { value: (all - transfers) / messages };
}

/** Waits until strace holds it, or, where it may not, for a while: interrupted before, it tells nothing. */
async function untilTraced(pid: number): Promise<void> {
  const isTraced = (): boolean =>
    !/^TracerPid:\s+0$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  for (let tries = 0; tries < 500 && !isTraced(); tries++) await sleep(10);
}

/** What `strace -c` writes: `% time, seconds, usecs/call, calls, errors, syscall`. */
function parseCounts(text: string): Map<string, number> {
  const rows = text.matchAll(/^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$/gm);
  return new Map(
    [...rows].flatMap(([, count, name]) =>
      name === undefined || name === 'total' ? [] : [[name, Number(count)]],
    ),
  );
}
