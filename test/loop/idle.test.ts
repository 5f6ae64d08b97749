import { onEverySystemMap } from '../support/maps';
import { Program, isInstalled } from '../support/processes';
import { scriptOn } from '../support/scripts';
import { until } from '../support/turns';

// Skipped with a message where it is not installed; under ASYNCHIA_ALL_TOOLS=1 that is an error.
const describeTraced = isInstalled('strace') ? describe : describe.skip;

describeTraced('traced', () => {
  const WINDOW_MS = 1000;

  /** Fails unless some time passes without any system call, soon after strace attaches. */
  async function expectNoSystemCalls(pid: number): Promise<void> {
    const strace = new Program('strace', ['-f', '-p', String(pid)]);
    try {
      await until(() => strace.stderr.includes('attached') || strace.status !== null, 'strace');
      expect(strace.status).toBeNull();
      for (let i = 0; i < 5; i++) {
        const before = strace.stderr.length;
        await new Promise((resolve) => setTimeout(resolve, WINDOW_MS));
        if (strace.stderr.length === before) return;
      }
    } finally {
      strace.kill('SIGTERM');
      await strace.ends();
    }
    throw new Error(`an idle map makes system calls: ${strace.stderr.slice(-2000)}`);
  }

  onEverySystemMap('an idle map', (map) => {
    test('rule 5: run() makes no system call while nothing happens', async () => {
      const program = scriptOn(
        map(),
        `
        const map = new DefaultSocketMap();
        const acceptor = new AcceptHandler(map);
        acceptor.bind(['127.0.0.1', 0]);
        acceptor.listen(1);
        const [left, right] = socketpair();
        new Echoing(map, left).setReadable(false);
        right.send(Buffer.from('unread'));
        map.callIn(3600, () => {});
        map.run();
        setTimeout(() => say('idle'), 50);
      `,
      );
      await program.says('idle');
      await expectNoSystemCalls(program.child.pid!);
    });
  });
});
