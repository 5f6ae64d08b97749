/** All waiting of tests: for a condition, never for a fixed time. */
import type { SocketMap } from '../../lib';

import { isFaulty, kernel } from './kernels';

/** Far longer than any test needs on a busy machine; only a failing test waits so long. */
const PATIENCE_MS = 20_000;

/** Polls `map` until `isDone`; after a time-out fails with a message that names `what`. */
export function turnUntil(map: SocketMap, isDone: () => boolean, what: string): void {
  turnOver(() => {
    if (isDone()) return true;
    map.poll(0.05);
    return false;
  }, what);
}

/** Repeats something that blocks until it `isDone`. */
export function turnOver(isDone: () => boolean, what = 'it'): void {
  const giveUpAt = kernel().monotonicMs() + PATIENCE_MS;
  while (!isDone()) {
    if (kernel().monotonicMs() > giveUpAt) throw new Error(`waited in vain for ${what}`);
  }
}

/** Waits in Node's own loop until `isDone`: for running maps, and peers of node:net. */
export async function until(
  isDone: () => boolean,
  what: string | (() => string),
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const giveUpAt = performance.now() + patienceMs;
  while (!isDone()) {
    if (performance.now() > giveUpAt) {
      throw new Error(`waited in vain for ${typeof what === 'string' ? what : what()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/**
 * Polls a map until a wait of some length returns no event; fails if
 * the waits keep returning at once (busy looping).
 */
export function expectQuiet(map: SocketMap): void {
  const MOST_TURNS = 20;
  // Under faults, longer than any injected delay.
  const seconds = isFaulty() ? 0.2 : 0.02;
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    if (map.poll(seconds) === 0) return;
  }
  throw new Error(`the map spins: ${MOST_TURNS} turns in a row had events`);
}
