/** How far the benchmark is: a bar on a terminal, nothing in a pipe. */
import { Presets, SingleBar } from 'cli-progress';

export interface Progress {
  start(total: number): void;
  /** One more is done; `label` says what. */
  step(label: string): void;
  stop(): void;
}

export function makeProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { start() {}, step() {}, stop() {} };
  const format = ' {bar} {value}/{total} | {eta_formatted} left | {label}';
  const bar = new SingleBar({ format, stream, hideCursor: true }, Presets.shades_classic);
  return {
    start: (total) => bar.start(total, 0, { label: '' }),
    step: (label) => bar.increment(1, { label }),
    stop: () => bar.stop(),
  };
}
