/** asynchia/select: how long a wait lasts. Only lower bounds: a busy machine may always take longer. */
import { socketpair } from '../../lib';
import { Epoll, Poll, POLLIN, select } from '../../lib/select';
import { runScript } from '../support/processes';

/** How long `wait` took, in seconds. */
function lasts(wait: () => unknown): number {
  const start = process.hrtime.bigint();
  wait();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

const [near, far] = socketpair();
const poll = new Poll();
const epoll = new Epoll();
poll.register(near, POLLIN);
epoll.register(near, POLLIN);
afterAll(() => {
  for (const each of [poll, epoll, near, far]) each.close();
});

const waits: [string, (seconds: number) => unknown[]][] = [
  ['select', (seconds) => select([near], [], [], seconds)[0]],
  ['Poll', (seconds) => poll.poll(seconds)],
  ['Epoll', (seconds) => epoll.poll(seconds)],
];

describe.each(waits)('%s', (name, wait) => {
  test.each([0.0001, 0.00051, 0.0009, 0.0011, 0.00199, 0.0105, 0.0333])(
    'rule 10: a wait of %d seconds is never short',
    (seconds) => {
      for (let i = 0; i < 5; i++) {
        expect(lasts(() => expect(wait(seconds)).toEqual([]))).toBeGreaterThanOrEqual(seconds);
      }
    },
  );

  test.each([Infinity, Number.MAX_VALUE, 2 ** 53, 2 ** 31, 3e6])(
    'a wait of %d seconds ends with what happens',
    (seconds) => {
      far.send(Buffer.from('x'));
      expect(wait(seconds)).toHaveLength(1);
      near.recvInto(Buffer.alloc(1));
    },
  );

  test('a wait without a time ends with what happens', () => {
    far.send(Buffer.from('x'));
    const watcher = name === 'Poll' ? poll : epoll;
    const ready = name === 'select' ? select([near], [], [])[0] : watcher.poll();
    expect(ready).toHaveLength(1);
    near.recvInto(Buffer.alloc(1));
  });
});

/** Waits in a process that signals rain on, and prints for how many seconds. */
function waitUnderSignals(wait: string): string {
  return `
const { select, Poll, Epoll } = require('asynchia/select');
const { spawn } = require('node:child_process');
let caught = 0;
process.on('SIGUSR2', () => caught++);
spawn('sh', ['-c', 'for i in 1 2 3 4 5 6 7 8; do sleep 0.02; kill -USR2 ' + process.pid + '; done']);
const start = process.hrtime.bigint();
const ready = ${wait};
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
const said = setInterval(() => {
  if (caught === 0) return;
  clearInterval(said);
  console.log(JSON.stringify({ ready: ready.flat(), seconds }));
}, 5);`;
}

test.each(['select([], [], [], 0.25)', 'new Poll().poll(0.25)', 'new Epoll().poll(0.25)'])(
  'rule 10: signals do not shorten %s',
  async (wait) => {
    const program = runScript(waitUnderSignals(wait));
    expect(await program.ends()).toBe(0);
    const { ready, seconds } = JSON.parse(program.stdout) as { ready: unknown[]; seconds: number };
    expect(ready).toEqual([]);
    expect(seconds).toBeGreaterThanOrEqual(0.25);
  },
);
