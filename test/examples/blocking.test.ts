/** The examples that block their thread: the one with select(2), and the echo server on `runSync`. */
import {
  backends,
  endAll,
  example,
  nc,
  portOf,
  python,
  scriptOf,
  socat,
  start,
} from '../support/examples';
import { isInstalled } from '../support/processes';

// Skipped with a message where it is not installed; under ASYNCHIA_ALL_TOOLS=1 that is an error.
const testWith = (...commands: string[]) => (commands.every(isInstalled) ? test : test.skip);

afterEach(endAll);

describe('watch-stdin', () => {
  const script = scriptOf('watch-stdin');

  test('ticks while its input is silent, and prints its input', async () => {
    const watch = start(process.execPath, [script, 0.05]);
    await watch.says('tick 2\n');
    watch.write('hello\n');
    await watch.says("6 bytes: 'hello\\n'\n");
    watch.stdout = '';
    await watch.says('tick ');
    watch.write('again\n');
    await watch.says("6 bytes: 'again\\n'\n");
    watch.endInput();
    expect(await watch.ends()).toBe(0);
    expect(watch.stdout).toMatch(/End of input: 12 bytes, \d+ ticks\.\n$/);
    expect(watch.stderr).toBe('');
  });

  test('reads a pipe to its end', async () => {
    const pipeline = 'head -c 1000000 /dev/zero | "$0" "$1" 1000';
    const watch = start('sh', ['-c', pipeline, process.execPath, script]);
    expect(await watch.ends()).toBe(0);
    expect(watch.stdout).toMatch(/End of input: 1000000 bytes, 0 ticks\.\n$/);
  });

  test('reads a file to its end', async () => {
    const watch = start('sh', ['-c', '"$0" "$1" 1000 < "$1"', process.execPath, script]);
    expect(await watch.ends()).toBe(0);
    expect(watch.stdout).toMatch(/^\d+ bytes: .*\nEnd of input: \d+ bytes, 0 ticks\.\n$/);
  });

  testWith('script')('reads a terminal until Ctrl-D', async () => {
    const watch = start('script', ['-qec', `"${process.execPath}" "${script}" 0.05`, '/dev/null']);
    await watch.says('tick 2\r\n');
    watch.write('typed\n');
    await watch.says("6 bytes: 'typed\\n'\r\n");
    watch.write('\x04');
    await watch.says('End of input: 6 bytes');
    watch.endInput();
    expect(await watch.ends()).toBe(0);
  });

  test('refuses a timer of 0 seconds', async () => {
    const watch = start(process.execPath, [script, 0]);
    expect(await watch.ends()).toBe(1);
    expect(watch.stderr).toContain('RangeError');
  });
});

describe.each(backends)('blocking-echo on %s', (backend) => {
  testWith('socat', 'python3')('stops when its connections are served', async () => {
    const echo = example('blocking-echo', backend, 0, 2);
    const port = await portOf(echo);

    const first = socat(port);
    first.write('one\ntwo\n');
    await first.says('one\ntwo\n');

    const second = python(
      port,
      `s.sendall(b'three\\nand no end')
s.shutdown(socket.SHUT_WR)
while data := s.recv(4096): os.write(1, data)`,
    );
    expect(await second.ends()).toBe(0);
    expect(second.stdout).toBe('three\nand no end');
    expect(echo.status).toBeNull();

    first.write('four\n');
    await first.says('four\n');
    first.endInput();
    expect(await echo.ends()).toBe(0);
    expect(echo.stdout).toContain('Served 2 connections and 4 lines.\n');
    expect(echo.stderr).toBe('');
    await first.ends();
    expect(first.stdout).toBe('one\ntwo\nfour\n');
  });

  testWith('python3')('echoes everything to a client that sends much before it reads', async () => {
    const echo = example('blocking-echo', backend, 0, 1);
    const client = python(
      await portOf(echo),
      `sent = b''.join(b'%d %s\\n' % (i, b'x' * (i % 999)) for i in range(16000))
writer = threading.Thread(target=lambda: (s.sendall(sent), s.shutdown(socket.SHUT_WR)))
writer.start()
writer.join(0.3)  # long enough for all buffers on the way to fill up
received = b''.join(iter(lambda: s.recv(65536), b''))
print(len(sent), received == sent)`,
    );
    expect(await client.ends()).toBe(0);
    expect(client.stdout).toMatch(/^\d{7} True\n$/);
    expect(await echo.ends()).toBe(0);
    expect(echo.stdout).toContain('Served 1 connections and 16000 lines.\n');
    expect(echo.stderr).toBe('');
  });

  testWith('nc', 'python3')('stops on quit, without waiting for other clients', async () => {
    const echo = example('blocking-echo', backend, 0);
    const port = await portOf(echo);
    const idle = python(port, `s.sendall(b'here\\n')\nprint(s.recv(5))\nprint(s.recv(5))`);
    await idle.says("b'here\\n'");

    const client = nc(port);
    client.write('hello\nquit\n');
    client.endInput();
    expect(await client.ends()).toBe(0);
    expect(client.stdout).toBe('hello\nbye\n');
    expect(await echo.ends()).toBe(0);
    expect(echo.stdout).toContain('Served 2 connections and 3 lines.\n');
    expect(echo.stderr).toBe('');
    await idle.says("b''");
  });

  testWith('nc')('input after quit is ignored', async () => {
    const echo = example('blocking-echo', backend, 0);
    const client = nc(await portOf(echo));
    client.write('hello\nquit\nhello again\n');
    client.endInput();
    expect(await client.ends()).toBe(0);
    expect(client.stdout).toBe('hello\nbye\n');
    expect(await echo.ends()).toBe(0);
    expect(echo.stderr).toBe('');
  });
});
