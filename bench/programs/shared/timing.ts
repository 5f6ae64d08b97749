/** What a million timers cost, whoever keeps them. Prints one line of JSON. */
import { parseArgs } from 'node:util';

/** Who keeps the timers. */
export interface Keeper<T> {
  arm(ms: number, fn: () => void): T;
  cancel(timer: T): void;
  /** Lets what is due be called. */
  begin(): void;
  end(): void;
}

/** So many different delays: as in life, much fewer than timers. */
const DELAYS = 100;
const FAR_MS = 3_600_000;

const cpuNs = (): number => {
  const { user, system } = process.cpuUsage();
  return 1000 * (user + system);
};

const heapBytes = (): number => {
  const { Bun, gc } = globalThis as { Bun?: { gc: (force: boolean) => void }; gc?: () => void };
  Bun?.gc(true);
  gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

/** The same order every time, and none that a timer queue would like. */
function shuffle(items: unknown[]): void {
  let random = 1;
  for (let i = items.length - 1; i > 0; i--) {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    const other = random % (i + 1);
    const swapped = items[i];
    items[i] = items[other];
    items[other] = swapped;
  }
}

export function timeTimers<T>(keeper: Keeper<T>): void {
  const { values } = parseArgs({ options: { count: { type: 'string', default: '1000000' } } });
  const count = Number(values.count);
  const timers = new Array<T>(count);
  const nothing = (): void => undefined;

  const bytesBefore = heapBytes();
  const armed = cpuNs();
  for (let i = 0; i < count; i++) timers[i] = keeper.arm(FAR_MS + (i % DELAYS) * 1000, nothing);
  const arm = cpuNs() - armed;
  const bytes = heapBytes() - bytesBefore;

  shuffle(timers);
  const cancelled = cpuNs();
  for (const timer of timers) keeper.cancel(timer);
  const cancel = cpuNs() - cancelled;
  timers.length = 0;

  let left = count;
  let begun = 0;
  const fired = (): void => {
    if (--left > 0) return;
    const fire = cpuNs() - begun;
    const each = (total: number): number => total / count;
    const report = { arm: each(arm), cancel: each(cancel), fire: each(fire), bytes: each(bytes) };
    process.stdout.write(`${JSON.stringify(report)}\n`);
    keeper.end();
  };
  for (let i = 0; i < count; i++) keeper.arm(1 + (i % DELAYS), fired);
  begun = cpuNs();
  keeper.begin();
}
