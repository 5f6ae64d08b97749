/** The kernel of a test's own sockets: that of its map, real or simulated. */
import { binding } from '../../lib/binding';
import type { Kernel } from '../../lib/kernel';

let current: Kernel = binding;
let isCurrentFaulty = false;

/** Sets the kernel; without an argument, the real one. */
export function useKernel(kernel: Kernel = binding, isFaulty = false): void {
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
