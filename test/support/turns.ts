/** Owns the waiting: tests say what is to come to pass, and never sleep to hope. */
import type { SocketMap } from '../../lib';

import { isFaulty, kernel } from './kernels';

/** Far longer than anything here takes on a busy machine; only a failing test waits for it. */
const PATIENCE_MS = 20_000;

/** Polls `map` until `isDone`; fails, saying what was waited for, if it never is. */
export function turnUntil(map: SocketMap, isDone: () => boolean, what: string): void {
  const giveUpAt = kernel().monotonicMs() + PATIENCE_MS;
  while (!isDone()) {
    if (kernel().monotonicMs() > giveUpAt) throw new Error(`waited in vain for ${what}`);
    map.poll(0.05);
  }
}

/** Lets Node's own loop turn until `isDone`: for maps that are running, and for peers of node:net. */
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
 * Polls a map whose descriptors have settled until a wait of some length brings nothing; fails if
 * it keeps returning at once, which is what spinning looks like.
 */
export function expectQuiet(map: SocketMap): void {
  const MOST_TURNS = 20;
  // Under faults, longer than anything is under way.
  const seconds = isFaulty() ? 0.2 : 0.02;
  for (let turn = 0; turn < MOST_TURNS; turn++) {
    if (map.poll(seconds) === 0) return;
  }
  throw new Error(`the map spins: ${MOST_TURNS} turns in a row had events`);
}
