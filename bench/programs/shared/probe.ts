/** How late Node's own timers come while a map's loop is busy. */

const DELAY_MS = 5;
const late: number[] = [];

/** One timer after the other, until the program ends. */
export function probe(): void {
  const dueMs = performance.now() + DELAY_MS;
  setTimeout(() => {
    late.push(performance.now() - dueMs);
    probe();
  }, DELAY_MS).unref();
}

export function lateness(): { timer_lateness_ms: { count: number; p50: number; p99: number } } {
  late.sort((a, b) => a - b);
  const at = (fraction: number): number => late[Math.floor(fraction * (late.length - 1))] ?? 0;
  return { timer_lateness_ms: { count: late.length, p50: at(0.5), p99: at(0.99) } };
}
