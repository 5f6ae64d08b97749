/** Plays a history on a map, and compares it with the model. */
import { RealStage, type MapClass } from './real-stage';
import { Model } from './model';
import type { Step } from './stage';

/** Less than any time-out of the library: after a longer pause one may have expired. */
const STANDSTILL_MS = 4000;

/** Throws an error with both traces from the first difference, if map and model differ. */
export function check(history: readonly Step[], mapClass: MapClass): void {
  const began = performance.now();
  const life = new RealStage(mapClass).play(history);
  if (performance.now() - began > STANDSTILL_MS) {
    check(history, mapClass);
    return;
  }
  const expected = new Model(life.allSeen).play(history).trace;
  const at = life.trace.findIndex((line, i) => line !== expected[i]);
  if (at < 0 && life.trace.length === expected.length) return;
  const parted = at < 0 ? life.trace.length : at;
  const told = (trace: readonly string[]): string => trace.slice(parted, parted + 3).join(' | ');
  throw new Error(
    [
      `${mapClass.backend} and the model part:`,
      ...life.trace.slice(0, parted),
      `  ${mapClass.backend}: ${told(life.trace)}`,
      `  the model: ${told(expected)}`,
    ].join('\n'),
  );
}
