/** A storm: a server whose system calls fail at random, and clients that check every byte. */
import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';

import { ENDING_CODES, Random, type StormPlan } from './plan';
import { StormClient } from './storm-client';
import type { Report, Rest, Told } from './storm-server';

const root = path.join(__dirname, '..', '..');
const PATIENCE_MS = 60_000;
const IDLE_CLIENTS = 3;

/** The figures of a storm in which every promise was kept. */
export interface Weather {
  readonly connections: number;
  /** Connections that no fault ended; all their bytes arrived. */
  readonly survivors: number;
  /** Connections ended by a fault or their client's reset. */
  readonly ended: number;
  readonly faults: number;
  readonly calls: number;
  readonly rest: Rest;
}

/** Bundles the server from the sources. Returns the path of the bundle. */
export function buildServer(): string {
  const file = path.join(root, 'build', 'faults', `storm-server-${process.pid}.js`);
  const esbuild = path.join(root, 'node_modules', '.bin', 'esbuild');
  const source = path.join(root, 'test', 'faults', 'storm-server.ts');
  const options = ['--bundle', '--platform=node', '--target=node20', '--log-level=warning'];
  execFileSync(esbuild, [source, ...options, `--outfile=${file}`]);
  return file;
}

/** Runs the storm of a plan. Throws an error that names a broken promise. */
export async function storm(server: string, plan: StormPlan, size: number): Promise<Weather> {
  const child = fork(server, [JSON.stringify(plan)], { silent: true });
  let output = '';
  child.stderr?.on('data', (data: Buffer) => (output += data.toString()));
  const clients: StormClient[] = [];
  let idle: net.Socket[] = [];
  try {
    const { ports } = await answer<{ ports: number[] }>(child);
    const random = new Random(plan.seed ^ 0x5eed);
    const connect = (i: number): StormClient => {
      const kind = i % 2 === 0 ? 'echo' : 'lines';
      return new StormClient(ports[i % 2] ?? 0, kind, random);
    };
    for (let i = 0; i < size; i++) {
      clients.push(connect(i));
      // Some at the same time, some while others are busy.
      if (random.percent(30)) await new Promise(setImmediate);
    }
    await inTime(Promise.all(clients.map(({ closed }) => closed)), 'the clients to be served');
    child.send('settle');
    const report = await answer<Report>(child);
    check(report, clients);

    idle = Array.from({ length: IDLE_CLIENTS }, (_, i) => net.connect(ports[i % 2] ?? 0));
    for (const socket of idle) socket.write('still there?\n');
    await inTime(Promise.all(idle.map((socket) => once(socket, 'data'))), 'answers after it');
    child.send('rest');
    const rest = await answer<Rest>(child);
    // One call to become idle, one to wake up.
    if (rest.calls > 10) throw new Error(`at rest, the server makes calls: ${rest.calls}`);
    return weather(report, clients, rest);
  } catch (error) {
    const unfinished = clients.filter(({ isClosed }) => !isClosed).map(String);
    if (unfinished.length > 0 && child.exitCode === null) {
      child.send('report');
      const report = await answer<Report>(child);
      for (const { port } of clients.filter(({ isClosed }) => !isClosed)) {
        unfinished.push(...historyOf(port, report));
      }
    }
    throw new Error(
      [`seed ${plan.seed} on ${plan.backend}: ${String(error)}`, ...unfinished, output].join('\n'),
      { cause: error },
    );
  } finally {
    for (const client of [...clients, ...idle]) client.destroy();
    child.kill('SIGKILL');
  }
}

/** Checks that every promise was kept. */
function check(report: Report, clients: readonly StormClient[]): void {
  const broken: string[] = [];
  const byPort = new Map<number, Told>();
  for (const told of report.told) {
    byPort.set(told.port, told);
    const { port, closes, cleanups, wrongs } = told;
    if (closes.length > 1 || cleanups !== 1) {
      broken.push(`port ${port}: ${closes.length} times handleClose, ${cleanups} handleCleanup`);
    }
    for (const wrong of wrongs) broken.push(`port ${port}: ${wrong}`);
  }
  for (const client of clients) {
    const count = broken.length;
    if (client.wrong !== undefined) broken.push(`${String(client)}: ${client.wrong}`);
    // A connection may be reset before it is accepted, with its bytes.
    if (client.manner === 'reset') continue;
    const told = byPort.get(client.port);
    const code = told?.closes[0];
    if (told === undefined) broken.push(`${String(client)}: no handler`);
    else if (code === undefined) broken.push(`${String(client)}: handleClose was not told`);
    else if (code === '' && !client.isWhole) broken.push(`${String(client)}: lost in silence`);
    else if (code !== '' && !ENDING_CODES.has(code)) {
      broken.push(`${String(client)}: ended by ${code}`);
    }
    if (broken.length > count) broken.push(...historyOf(client.port, report));
  }
  const { descriptorsBefore, descriptorsAfter } = report;
  if (descriptorsAfter !== descriptorsBefore) {
    broken.push(`descriptors: ${descriptorsBefore} before, ${descriptorsAfter} after`);
  }
  const made = (call: string): number => report.calls[call]?.[0] ?? 0;
  const waits = made('epoll_wait') + made('pselect') + (made('pselect') > 0 ? 0 : made('poll'));
  const work = made('recv') + made('send') + made('sendmsg') + made('accept4') + made('peek');
  // A busy loop waits again and again without work.
  if (waits > 2 * work + 1000) broken.push(`spins: ${waits} waits for ${work} calls of work`);
  if (broken.length > 0) throw new Error(broken.join('\n'));
}

/** The last calls for a client's descriptor, and the callbacks of its handler. */
function historyOf(port: number, report: Report): string[] {
  const told = report.told.find((each) => each.port === port);
  if (told === undefined) return ['no handler'];
  const calls = report.trace.filter(({ detail }) => detail === told.fd).slice(-60);
  const lines = calls.map(({ call, result }) => `  ${call} ${result}`);
  return [...lines, `  told: ${JSON.stringify(told)}`];
}

function weather(report: Report, clients: readonly StormClient[], rest: Rest): Weather {
  const ended = new Set(
    report.told.filter(({ closes }) => closes[0] !== '').map(({ port }) => port),
  );
  const sum = (index: 0 | 1): number =>
    Object.values(report.calls).reduce((total, counts) => total + counts[index], 0);
  return {
    connections: clients.length,
    survivors: clients.filter((client) => client.isWhole && !ended.has(client.port)).length,
    ended: ended.size,
    faults: sum(1),
    calls: sum(0),
    rest,
  };
}

function answer<T>(child: ChildProcess): Promise<T> {
  const told = new Promise<T>((resolve, reject) => {
    child.once('message', (message) => resolve(message as T));
    child.once('exit', (code, signal) => reject(new Error(`the server died of ${code ?? signal}`)));
  });
  return inTime(told, 'the server to answer');
}

async function inTime<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
