/** asynchia/select on what Node itself cannot open: the script inherits it, as from a service manager. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { runWithDescriptor } from '../support/descriptors';
import { isInstalled } from '../support/processes';

const testWithPython = isInstalled('python3') ? test : test.skip;

/** Says when `fd` is quiet, then what each of the three sees once it is ready. */
const WATCH = `
const all = { select: () => select([fd], [], [], 0)[0] };
for (const Kind of [Poll, Epoll]) {
  const watcher = new Kind();
  watcher.register(fd, bits.POLLIN);
  all[Kind.name] = (seconds = 0) => watcher.poll(seconds).map(([number]) => number);
}
const report = (when) => {
  const seen = Object.entries(all).map(([name, look]) => name + ' ' + (look()[0] === fd));
  console.log(when + ': ' + seen.join(', '));
};`;

describe('on a descriptor that was inherited', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  testWithPython('a timerfd becomes readable when its time comes', async () => {
    const program = runWithDescriptor(
      'timerfd',
      folder,
      `${WATCH} select([fd], [], [], 10); report('after');`,
    );
    expect(await program.ends()).toBe(0);
    expect(program.stderr).toBe('');
    expect(program.stdout).toBe('after: select true, Poll true, Epoll true\n');
  });

  testWithPython('an inotify descriptor becomes readable when a file is made', async () => {
    const program = runWithDescriptor(
      'inotify',
      folder,
      `${WATCH} report('before'); all.Epoll(10); report('after');`,
    );
    await program.says('before: select false, Poll false, Epoll false\n');
    writeFileSync(path.join(folder, 'news'), '');
    expect(await program.ends()).toBe(0);
    expect(program.stdout).toContain('after: select true, Poll true, Epoll true\n');
  });

  testWithPython('an eventfd becomes readable when it is written', async () => {
    const program = runWithDescriptor(
      'eventfd',
      folder,
      `${WATCH} report('before'); require('fs').writeSync(fd, Buffer.alloc(8, 1)); report('after');`,
    );
    expect(await program.ends()).toBe(0);
    expect(program.stdout).toBe(
      'before: select false, Poll false, Epoll false\nafter: select true, Poll true, Epoll true\n',
    );
  });

  testWithPython('a terminal becomes readable when a line is typed', async () => {
    const program = runWithDescriptor(
      'terminal',
      folder,
      `${WATCH}
       const tty = require('tty').isatty(fd);
       report('before'); require('fs').writeSync(fd - 1, 'typed\\n'); all.Poll(10);
       report('after on a tty: ' + tty);`,
    );
    expect(await program.ends()).toBe(0);
    expect(program.stdout).toBe(
      'before: select false, Poll false, Epoll false\n' +
        'after on a tty: true: select true, Poll true, Epoll true\n',
    );
  });
});
