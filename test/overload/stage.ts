/** Shared by the overload scenarios: a running map, its measurements, and the output. */
import { readdirSync, readFileSync } from 'node:fs';

import type { AcceptHandler, SocketMap } from 'asynchia';
import { DefaultSocketMap } from 'asynchia/maps';
import Table from 'cli-table3';

import { python } from '../support/peers';
import type { Program } from '../support/processes';
import { until } from '../support/turns';

/** The longest that any part of a full form takes. */
const PATIENCE_MS = 300_000;
/** The CPU limit of an idle process, as a share of a core; a busy loop uses all of it. */
const MOST_AT_REST = 0.1;

/** The outcome of a scenario. */
export interface Outcome {
  readonly scenario: string;
  readonly form: 'short' | 'full';
  readonly map: string;
  readonly seconds: number;
  readonly connections: number;
  readonly served: number;
  /** Bytes that arrived as they were sent, of those that should have. */
  readonly bytes: readonly [intact: number, of: number];
  readonly peakMiB: number;
  readonly descriptors: readonly [before: number, after: number];
  /** The share of a core that was used when all connections were closed. */
  readonly atRest: number;
  readonly facts: readonly string[];
  readonly held: readonly { readonly what: string; readonly isTrue: boolean }[];
}

/** The report of the peers. */
export type Told = Readonly<Record<string, number>>;

/** A scenario's server side: this process. Its peers are another. */
export class Stage {
  readonly isFull = process.argv.includes('--full');
  readonly map: SocketMap = new DefaultSocketMap();
  connections = 0;
  served = 0;
  bytes: readonly [number, number] = [0, 0];
  readonly #scenario: string;
  readonly #held: { what: string; isTrue: boolean }[] = [];
  readonly #facts: string[] = [];
  readonly #startMs = performance.now();
  readonly #peers: Program[] = [];
  #before = 0;
  #bytesBefore = 0;
  #isWarm = false;

  constructor(scenario: string) {
    this.#scenario = scenario;
  }

  /** A figure of the short form, or of the full one. */
  pick(short: number, full: number): number {
    return this.isFull ? full : short;
  }

  /** Binds and listens on a free port of loopback, and returns the port. */
  listen(listener: AcceptHandler, backlog = 4096): number {
    listener.bind(['127.0.0.1', 0]);
    listener.listen(backlog);
    const address = listener.socket.getsockname();
    return 'port' in address ? address.port : 0;
  }

  /** Starts peers, which say `ready` and then wait for `begin`. */
  async peers(script: string, ...args: number[]): Promise<Program> {
    const program = python(PEERS + script, ...args);
    this.#peers.push(program);
    await program.says('ready', PATIENCE_MS);
    return program;
  }

  /**
   * Has peers load the server before the measurement: `holdsMemory` then counts from the peak that they
   * cause. How many received bytes lie about as garbage before V8 collects them is V8's own affair: up to
   * 32 MiB until Node 22, 64 MiB from Node 24 on, however many connections they came by.
   */
  async warmUp(program: Program): Promise<void> {
    program.write('go\n');
    await this.told(program);
    program.endInput();
    await program.ends();
    this.#isWarm = true;
  }

  /** Starts the measurement, and the peers. */
  begin(): void {
    this.#before = countDescriptors();
    this.#bytesBefore = this.#isWarm ? peakKiB() * 1024 : process.memoryUsage.rss();
    for (const program of this.#peers) program.write('go\n');
  }

  /** Waits for the report of the peers, as JSON. */
  async told(program: Program): Promise<Told> {
    await program.says('}\n', PATIENCE_MS);
    return JSON.parse(/\{.*\}/.exec(program.stdout)?.[0] ?? '{}') as Told;
  }

  /** Waits for a condition in this process. */
  async until(isDone: () => boolean, what: string): Promise<void> {
    await until(isDone, what, PATIENCE_MS);
  }

  /** Records whether a statement is true. */
  holds(what: string, isTrue: boolean): void {
    this.#held.push({ what, isTrue });
  }

  /** Adds a figure to the output. */
  fact(text: string): void {
    this.#facts.push(text);
  }

  /** Memory is bounded: at the peak it was at most so much above what it was at `begin`. */
  holdsMemory(mostMiB: number): void {
    const grown = peakKiB() / 1024 - this.#bytesBefore / 2 ** 20;
    const before = this.#isWarm ? "a server's whose peers read" : "the idle server's";
    this.holds(`peak memory at most ${mostMiB} MiB above ${before}`, grown <= mostMiB);
    this.fact(`memory grew by ${grown.toFixed(0)} MiB at most`);
  }

  /** Checks what is left at the end, and closes the map. */
  async finish(): Promise<Outcome> {
    const atRest = await restingShare(this.pick(0.2, 2));
    const after = countDescriptors();
    this.holds('every connection was served', this.served === this.connections);
    this.holds('every byte arrived', this.bytes[0] === this.bytes[1]);
    this.holds('as many descriptors as before', after === this.#before);
    this.holds(`at most ${MOST_AT_REST * 100} % of a core at rest`, atRest <= MOST_AT_REST);
    for (const program of this.#peers) {
      program.endInput();
      await program.ends();
      this.holds('the peers had no error', program.status === 0 && program.stderr === '');
      if (program.stderr !== '') this.fact(program.stderr.trim().split('\n').at(-1) ?? '');
    }
    this.map.close();
    return {
      scenario: this.#scenario,
      form: this.isFull ? 'full' : 'short',
      map: this.map.backend,
      seconds: (performance.now() - this.#startMs) / 1000,
      connections: this.connections,
      served: this.served,
      bytes: this.bytes,
      peakMiB: peakKiB() / 1024,
      descriptors: [this.#before, after],
      atRest,
      facts: this.#facts,
      held: this.#held,
    };
  }
}

/** Runs a scenario: prints a table, or with `--json` a line for a program. */
export function play(scenario: string, script: (stage: Stage) => Promise<void>): void {
  const stage = new Stage(scenario);
  const played = async (): Promise<void> => {
    const running = stage.map.run();
    await Promise.race([script(stage), running]);
    const outcome = await stage.finish();
    await running;
    process.stdout.write(
      process.argv.includes('--json')
        ? `${JSON.stringify(outcome)}\n`
        : `${drawOutcomes([outcome])}\n`,
    );
    process.exitCode = hasHeld(outcome) ? 0 : 1;
  };
  played().catch((error: unknown) => {
    process.stderr.write(`${String(error instanceof Error ? error.stack : error)}\n`);
    process.exit(1);
  });
}

export function hasHeld({ held }: Outcome): boolean {
  return held.every(({ isTrue }) => isTrue);
}

export function drawOutcomes(outcomes: readonly Outcome[]): string {
  const heads = ['connections\nserved', 'MB\nintact', 'peak\nMiB', 'descriptors', 'at rest', 's'];
  const table = new Table({
    head: ['', ...heads, 'held'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right', 'left'],
  });
  for (const outcome of outcomes) {
    const { scenario, served, connections, bytes, descriptors, held } = outcome;
    table.push([
      scenario,
      part(served, connections),
      part(...(bytes.map((count) => Number((count / 1e6).toFixed(2))) as [number, number])),
      outcome.peakMiB.toFixed(0),
      descriptors.join(' → '),
      `${(outcome.atRest * 100).toFixed(1)} %`,
      outcome.seconds.toFixed(1),
      hasHeld(outcome) ? `all ${held.length}` : 'NOT ALL',
    ]);
  }
  const lines = outcomes.flatMap((outcome) => [
    ...outcome.held
      .filter(({ isTrue }) => !isTrue)
      .map(({ what }) => `${outcome.scenario}: DID NOT HOLD: ${what}`),
    ...outcome.facts.map((fact) => `${outcome.scenario}: ${fact}`),
  ]);
  return [table.toString(), ...lines].join('\n');
}

function part(count: number, of: number, between = 'of'): string {
  return count === of ? `${of}` : `${count} ${between} ${of}`;
}

function countDescriptors(): number {
  // One of them is that of the folder.
  return readdirSync('/proc/self/fd').length - 1;
}

/** The most memory that was resident since the process began (proc(5)). */
function peakKiB(): number {
  return Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
}

/** The share of a core that is used, after garbage collection. */
async function restingShare(seconds: number): Promise<number> {
  let share = 1;
  for (let tries = 0; tries < 5 && share > MOST_AT_REST; tries++) {
    const before = process.cpuUsage();
    const startMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const { user, system } = process.cpuUsage(before);
    share = (user + system) / 1000 / (performance.now() - startMs);
  }
  return share;
}

/** What the peers' scripts begin with: `started()` waits for `begin`, `tell` reports at the end. */
const PEERS = `
import collections, json, resource, selectors, errno
args = [int(arg) for arg in sys.argv[1:]]
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
def started():
    say('ready')
    hear()
def tell(**figures):
    say(json.dumps(figures))
    hear()
def connected(port):
    peer = socket.socket()
    peer.connect(('127.0.0.1', port))
    return peer
def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    peer.close()
# Bytes in which a loss, a repetition or an exchange shows: no two places of it are alike nearby.
PATTERN = b''.join(struct.pack('>I', i * 2654435761 & 0xffffffff) for i in range(16384))
TWICE = PATTERN + PATTERN
def is_pattern(data, at):
    start = at % len(PATTERN)
    return data == TWICE[start:start + len(data)]
`;

/** The same bytes as the peers' `PATTERN`: 64 KiB. */
export const PATTERN = Buffer.alloc(65536);
for (let i = 0; i < 16384; i++) PATTERN.writeUInt32BE(Math.imul(i, 2654435761) >>> 0, 4 * i);
