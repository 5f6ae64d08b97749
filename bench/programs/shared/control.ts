/** How a server program is told what to do, and what it says of itself. */

/** What a server has done. */
export interface Done {
  messages: number;
  connections: number;
}

/** A JavaScript engine's own way to collect all garbage, where it was asked to offer one. */
interface Engine {
  readonly gc?: () => void;
  readonly Bun?: { readonly gc: (force: boolean) => void };
}

export function printListening(port: number): void {
  process.stdout.write(`listening ${port}\n`);
}

/** One line of JSON, the same as the C servers print, and what `more` adds. */
export function printTotals(backend: string, done: Done, more: object = {}): void {
  const { user, system } = process.cpuUsage();
  const cpu = { user_seconds: user / 1e6, system_seconds: system / 1e6 };
  process.stdout.write(`${JSON.stringify({ backend, ...cpu, ...done, ...more })}\n`);
}

/** Bytes in use, after everything that is garbage was collected. */
export function printMemory(): void {
  const { gc, Bun } = globalThis as Engine;
  Bun?.gc(true);
  gc?.();
  gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  process.stdout.write(`${JSON.stringify({ rss, heap: heapUsed + external })}\n`);
}

/**
 * Does as standard input says: at the line `memory` it prints that; at its end, and at SIGTERM, the
 * program is over. So no server outlives the benchmark that started it.
 */
export function obey(backend: string, done: Done): void {
  const end = (): void => {
    printTotals(backend, done);
    process.exit();
  };
  process.stdin.on('data', printMemory);
  process.stdin.on('end', end);
  process.on('SIGTERM', end);
}
