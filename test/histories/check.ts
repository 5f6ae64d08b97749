/** Lives a history on a map, and holds it against the model. */
import { Life, type MapClass } from './life';
import { Model } from './model';
import type { Step } from './stage';

/** Less than any time-out of the library: whoever stood still for longer has seen it fall due. */
const STANDSTILL_MS = 4000;

/** Throws, with both traces from where they part, if a map does not do what the model says. */
export function check(history: readonly Step[], mapClass: MapClass): void {
  const began = performance.now();
  const life = new Life(mapClass).play(history);
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
