/** A million timers: armed, cancelled, fired. */
import type { Bench } from '../bench';
import { program } from '../package';
import { numberIn } from '../processes';
import type { Contestant, Trial } from '../trial';

const FIGURES = [
  { key: 'arm', label: 'arm', unit: 'ns', compared: true },
  { key: 'cancel', label: 'cancel', unit: 'ns', compared: true },
  { key: 'fire', label: 'fire', unit: 'ns', compared: true },
  { key: 'bytes', label: 'memory', unit: 'B', compared: true },
];

export function timers(bench: Bench): Trial[] {
  const count = bench.options.quick ? 1000 : 1_000_000;
  const contestant = (name: string, command: readonly string[]): Contestant => ({
    name,
    async measure() {
      const running = bench.start([...command, '--count', String(count)]);
      const report = await running.json(120_000);
      await running.end();
      return Object.fromEntries(FIGURES.map(({ key }) => [key, numberIn(report, key)]));
    },
  });
  const node = [bench.options.node, '--expose-gc'];
  const runtimes = bench
    .runtimes()
    .map(({ name, run }) => contestant(`${name}-setTimeout`, [...run, program('node-timers')]));
  return [
    {
      scenario: 'timers',
      title: `timers: CPU and memory of each of ${count.toLocaleString('en')}, of 100 different delays`,
      parameters: { count },
      figures: FIGURES,
      reference: 'node-setTimeout',
      contestants: [
        contestant('asynchia-callIn', [...node, program('asynchia-timers')]),
        contestant('node-setTimeout', [...node, program('node-timers')]),
        ...runtimes,
      ].filter(({ name }) => bench.wants(name)),
    },
  ];
}
