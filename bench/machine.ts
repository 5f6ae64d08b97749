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
  readonly node: string;
  readonly libuv: string;
  readonly loadAverage: readonly number[];
  /** Null: nothing is pinned, and the figures are the worse for it. */
  readonly pinning: Pinning | null;
}

export function describeMachine(): Machine {
  return {
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    node: process.version,
    libuv: process.versions.uv,
    loadAverage: os.loadavg().map((value) => Math.round(value * 100) / 100),
    pinning: choosePinning(),
  };
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
