/** The kernel of a test's own sockets: that of its map, real or simulated. */
import { systemKernel } from '../../lib/system/system-kernel';
import type { Kernel } from '../../lib/system/kernel';

let current: Kernel = systemKernel;
let isCurrentFaulty = false;

/** Sets the kernel; without an argument, the real one. */
export function useKernel(kernel: Kernel = systemKernel, isFaulty = false): void {
  current = kernel;
  isCurrentFaulty = isFaulty;
}

/** Whether it injects short transfers, delays and reordering. */
export function isFaulty(): boolean {
  return isCurrentFaulty;
}

export function kernel(): Kernel {
  return current;
}

/** The duration of a function, in milliseconds of the kernel's clock. */
export function millisecondsOf(action: () => void): number {
  const start = current.monotonicMs();
  action();
  return current.monotonicMs() - start;
}

/** Lets time pass without an iteration of any map. */
export function pass(ms: number): void {
  const backend = current.createBackend('poll');
  if (typeof backend === 'number') throw new Error(`no poll(2) here: ${backend}`);
  backend.wait(ms, new Int32Array(2));
  backend.close();
}
