/** The tutorial's programs, and `npm start`, which runs both. */
import { once } from 'node:events';
import net from 'node:net';

import { backends, endAll, example, isListening, nc, start } from '../support/examples';
import { isInstalled } from '../support/processes';
import { until } from '../support/turns';

const PORT = 25000;
const GREETING = 'Hello from the echo-client\n';
// Skipped with a message where it is not installed; under ASYNCHIA_ALL_TOOLS=1 that is an error.
const withNc = isInstalled('nc') ? test : test.skip;

afterEach(endAll);

/**
 * The tutorial's port is fixed; another run of the tutorial on this machine may use it for a
 * moment: tries again until the port is free.
 */
async function onTutorialPort(run: () => Promise<void>): Promise<void> {
  for (let triesLeft = 20; ; triesLeft--) {
    await until(() => !isListening(PORT), `port ${PORT} to be free`);
    try {
      await run();
      return;
    } catch (error) {
      if (triesLeft === 0 || !String(error).includes('EADDRINUSE')) throw error;
      endAll();
    }
  }
}

describe.each(backends)('the tutorial on %s', (backend) => {
  withNc('the server prints what nc sends, and its end', () =>
    onTutorialPort(async () => {
      const server = example('tutorial/server', backend);
      await until(() => isListening(PORT) || server.status !== null, 'the server');
      const client = nc(PORT);
      client.write('Hello from nc\n');
      client.endInput();
      await server.says('Hello from nc\nPeer said bye-bye.\n');
      expect(await client.ends()).toBe(0);
      expect(server.stderr).toBe('');
    }),
  );

  withNc('the client greets nc', () =>
    onTutorialPort(async () => {
      const server = start('nc', ['-l', '127.0.0.1', PORT]);
      await until(() => isListening(PORT) || server.status !== null, 'nc');
      const client = example('tutorial/client', backend);
      await server.says(GREETING);
      client.kill();
      expect(await server.ends()).toBe(0);
      expect(server.stdout).toBe(GREETING);
    }),
  );

  test('npm start prints the labelled output of both, and ends', () =>
    onTutorialPort(async () => {
      const tutorial = example('tutorial/main', backend);
      await tutorial.says('That is all.');
      expect(await tutorial.ends()).toBe(0);

      const [chosen, ...lines] = tutorial.stdout.split('\n');
      const others = backends.filter((other) => other !== backend);
      expect(chosen).toBe(
        `The map is ${backend}. The others: ${others.map((other) => `${other} (available)`).join(', ')}.`,
      );
      expect(lines.filter((line) => line.includes('|'))).toEqual([
        'server | Hello from the echo-client',
        'server | Peer said bye-bye.',
      ]);
      expect(tutorial.stderr).toBe('');
    }));
});

test('the tutorial fails with a reason when its port is in use', () =>
  onTutorialPort(async () => {
    const other = net.createServer((socket) => socket.resume()).listen(PORT, '127.0.0.1');
    await once(other, 'listening');
    try {
      const tutorial = example('tutorial/main', 'epoll');
      expect(await tutorial.ends()).toBe(1);
      expect(tutorial.stdout).toContain('server | SystemError: bind EADDRINUSE 127.0.0.1:25000');
      expect(tutorial.stderr).toBe('The tutorial failed: the server has ended (1)\n');
    } finally {
      other.close();
    }
  }));

test('the tutorial leaves no process behind when it is stopped', () =>
  onTutorialPort(async () => {
    const tutorial = example('tutorial/main', 'epoll');
    await tutorial.says('The server listens');
    tutorial.kill('SIGTERM');
    // 0 if the signal came after both had ended; what matters is that no process is left.
    expect([0, 1]).toContain(await tutorial.ends());
    await until(() => !isListening(PORT), 'the server to be gone');
  }));
