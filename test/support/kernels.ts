/** Whose sockets a test talks over: the kernel of the map that it runs on, real or simulated. */
import { systemKernel } from '../../lib/system/system-kernel';
import type { Kernel } from '../../lib/system/kernel';

let current: Kernel = systemKernel;
let isCurrentFaulty = false;

/** From now on, until it is called with nothing. */
export function useKernel(kernel: Kernel = systemKernel, isFaulty = false): void {
  current = kernel;
  isCurrentFaulty = isFaulty;
}

/** Whether it takes and gives less than it could, later, and in another order. */
export function isFaulty(): boolean {
  return isCurrentFaulty;
}

export function kernel(): Kernel {
  return current;
}

/** How long something takes, in milliseconds of the kernel's own clock. */
export function millisecondsOf(action: () => void): number {
  const start = current.monotonicMs();
  action();
  return current.monotonicMs() - start;
}

/** Lets so much time pass, without a turn of any map. */
export function pass(ms: number): void {
  const backend = current.createBackend('poll');
  if (typeof backend === 'number') throw new Error(`no poll(2) here: ${backend}`);
  backend.wait(ms, new Int32Array(2));
  backend.close();
}
