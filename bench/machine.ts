/** What a run is measured on, and on which of its cores. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';

/** The cores that the measured program and its load run on. */
export interface Pinning {
  readonly measured: number;
  readonly load: number;
}

export interface Machine {
  readonly kernel: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  /** The Node that is measured, ours and node:net. */
  readonly node: string;
  readonly libuv: string;
  readonly loadAverage: readonly number[];
  /** Null: nothing is pinned, and the figures are the worse for it. */
  readonly pinning: Pinning | null;
}

/** Describes the machine, and the program `node`. Throws where that is no Node. */
export function describeMachine(node: string): Machine {
  const versions = versionsOf(node);
  return {
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    node: `v${versions.node}`,
    libuv: versions.uv,
    loadAverage: os.loadavg().map((value) => Math.round(value * 100) / 100),
    pinning: choosePinning(),
  };
}

function versionsOf(node: string): { readonly node: string; readonly uv: string } {
  const script = 'process.stdout.write(JSON.stringify(process.versions))';
  const { status, stdout, stderr, error } = spawnSync(node, ['-e', script], { encoding: 'utf8' });
  if (status === 0 && stdout !== '') return JSON.parse(stdout) as { node: string; uv: string };
  throw new Error(`--node: ${node} does not run as Node: ${error?.message ?? stderr.trim()}`);
}

function choosePinning(): Pinning | null {
  const status = readFileSync('/proc/self/status', 'utf8');
  const allowed = parseCpuList(/^Cpus_allowed_list:\s*(.*)$/m.exec(status)?.[1] ?? '');
  const [measured, load] = allowed;
  if (measured === undefined || load === undefined) return null;
  const tried = spawnSync('taskset', ['-c', String(load), 'true']);
  return tried.status === 0 ? { measured, load } : null;
}

/** The numbers that a list like `0-2,5` of proc(5) names. */
export function parseCpuList(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [first = NaN, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** A command, on a core of its own where there are cores to give. */
export function pinned(
  command: readonly string[],
  pinning: Pinning | null,
  role: keyof Pinning,
): string[] {
  return pinning === null ? [...command] : ['taskset', '-c', String(pinning[role]), ...command];
}
