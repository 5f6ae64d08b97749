/** What every scenario is given: options, programs, peers, and a place for notes. */
import type { Machine } from './machine';
import { describeMachine, pinned } from './machine';
import { buildNative, type NativePrograms } from './native';
import type { ServingPeer } from './peers';
import { canServe, listPeers } from './peers';
import { Program } from './processes';
import type { Trial } from './trial';

export interface BenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmup: number;
  /** Tiny, to see that everything works; what it measures means nothing. */
  readonly quick: boolean;
  /** Every size the scenario has, not only a sensible few. */
  readonly full: boolean;
  /** Names of contestants; empty: all. */
  readonly only: readonly string[];
  readonly connections: readonly number[];
  readonly sizes: readonly number[];
  readonly pipelines: readonly number[];
  /** Messages a second of the open loop; undefined: a closed one. */
  readonly rate: number | undefined;
  /** The program of the Node that is measured. */
  readonly node: string;
}

export type Scenario = (bench: Bench) => Trial[];

export class Bench {
  readonly notes: string[];
  readonly peers: readonly ServingPeer[];
  readonly versions: Readonly<Record<string, string>>;

  private constructor(
    readonly options: BenchOptions,
    readonly machine: Machine,
    readonly native: NativePrograms,
  ) {
    const peers = listPeers(native, { path: options.node, version: machine.node });
    this.notes = [...native.notes];
    this.peers = peers.filter(canServe);
    this.versions = Object.fromEntries(
      this.peers.filter(({ version }) => version !== '').map((peer) => [peer.name, peer.version]),
    );
    for (const { name, command } of peers) {
      if ('missing' in command) this.notes.push(`${name} is left out: ${command.missing}.`);
    }
    if (machine.pinning === null) {
      this.notes.push('Nothing is pinned: that takes taskset and two cores.');
    }
  }

  static async prepare(options: BenchOptions): Promise<Bench> {
    const machine = describeMachine(options.node);
    return new Bench(options, machine, await buildNative());
  }

  /** The peers, where there is a load generator to measure their servers with. */
  servers(): readonly ServingPeer[] {
    if (this.native.find('load') !== undefined) return this.peers;
    this.note(
      'Without a C compiler there is no load generator: echo, churn and idle are left out.',
    );
    return [];
  }

  /** Other runtimes that are installed, and how each runs a program. */
  runtimes(): { name: string; run: readonly string[] }[] {
    return this.peers
      .filter(({ name }) => name === 'bun' || name === 'deno')
      .map(({ name, command }) => ({ name, run: command.slice(0, -1) }));
  }

  /** Whether a contestant is asked for. */
  wants(name: string): boolean {
    return this.options.only.length === 0 || this.options.only.includes(name);
  }

  note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text);
  }

  /** Starts what is measured, or the load, each on its core. */
  start(command: readonly string[], role: 'measured' | 'load' = 'measured'): Program {
    return new Program(pinned(command, this.machine.pinning, role));
  }
}
