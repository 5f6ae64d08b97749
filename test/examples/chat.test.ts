/** The chat, with clients that use nc, socat and Python. */
import { backends, endAll, example, nc, portOf, python, socat } from '../support/examples';
import { isInstalled, type Program } from '../support/processes';

// Skipped with a message where one of them is not installed; under ASYNCHIA_ALL_TOOLS=1 that is an error.
const installed = ['nc', 'socat', 'python3'].map(isInstalled).every(Boolean);
const describeChat = installed ? describe.each(backends) : describe.skip.each(backends);

/** A Python client: sends its standard input, prints what it receives. */
const TALK = `
while True:
  for ready in select.select([s, 0], [], [])[0]:
    data = os.read(ready if ready == 0 else s.fileno(), 65536)
    if not data: sys.exit()
    if ready == 0: s.sendall(data)
    else: os.write(1, data)
`;

/** Sets a nickname and never reads; prints how the connection ended when its input ends. */
const SLEEP = `
s.sendall(b'sleepy\\n')
sys.stdin.read()
try:
  while s.recv(65536): pass
  print('ended')
except ConnectionResetError:
  print('reset')
`;

const PATIENT_ROUNDS = 400;
const LINES_A_ROUND = 128;

afterEach(endAll);

describeChat('the chat on %s', (backend) => {
  let chat: Program;
  let port: number;

  beforeEach(async () => {
    chat = example('chat', backend, 0);
    port = await portOf(chat);
  });

  async function join(user: Program, nickname: string): Promise<Program> {
    user.write(`${nickname}\n`);
    await user.says(`Welcome, ${nickname}.`);
    return user;
  }

  test('a message goes to all other users; joins and leaves are announced', async () => {
    const ann = await join(nc(port), 'ann');
    const bob = await join(socat(port), 'bob');
    await ann.says('* bob has joined.\n');
    const cyd = await join(python(port, TALK), 'cyd');
    await bob.says('* cyd has joined.\n');

    bob.write('hello, all\n');
    await ann.says('<bob> hello, all\n');
    await cyd.says('<bob> hello, all\n');
    cyd.write('hello, bob\n');
    await bob.says('<cyd> hello, bob\n');

    // One by the end of its input, one by a signal.
    ann.endInput();
    await bob.says('* ann has left.\n');
    expect(await ann.ends()).toBe(0);
    cyd.kill();
    await bob.says('* cyd has left.\n');

    expect(bob.stdout).not.toContain('<bob>');
    expect(chat.stderr).toBe('');
  });

  test('used or invalid nicknames are refused', async () => {
    const ann = await join(nc(port), 'ann');
    const bob = socat(port);
    bob.write('Ann\n');
    await bob.says('Ann is taken. Your nickname?\n');
    bob.write('<script>\nb o b\n\nfar-too-long-a-nickname\n');
    await bob.says('A nickname is 1 to 16 letters, digits, - and _. Your nickname?\n'.repeat(4));
    await join(bob, 'bob');
    await ann.says('* bob has joined.\n');
    expect(ann.stdout).toBe('Your nickname?\nWelcome, ann. Others here: 0.\n* bob has joined.\n');

    ann.endInput();
    await bob.says('* ann has left.\n');
    await join(python(port, TALK), 'ANN');
    await bob.says('* ANN has joined.\n');
  });

  test('a user who never reads is dropped, and does not delay the others', async () => {
    const ann = await join(nc(port), 'ann');
    const bob = await join(python(port, TALK), 'bob');
    const sleepy = python(port, SLEEP);
    await ann.says('* sleepy has joined.\n');

    // Every round arrives while sleepy's unread lines accumulate, first in the kernel's buffers.
    const line = `${'chatter '.repeat(100)}\n`;
    let round = 0;
    while (!ann.stdout.includes('* sleepy has left.\n') && round < PATIENT_ROUNDS) {
      ann.stdout = '';
      bob.write(`${line.repeat(LINES_A_ROUND)}round ${++round} is over\n`);
      await ann.says(`<bob> round ${round} is over\n`);
    }
    expect(ann.stdout).toContain('* sleepy has left.\n');
    expect(round).toBeGreaterThan(1);
    await chat.says('sleepy reads too slowly: dropped.\n');
    sleepy.endInput();
    await sleepy.says('\n');

    ann.write('is everybody awake?\n');
    await bob.says('<ann> is everybody awake?\n');
    await join(socat(port), 'sleepy');
    await bob.says('* sleepy has joined.\n');
    expect(chat.stderr).toBe('');
  });

  test('a reset, an endless line and control characters do not affect other users', async () => {
    const ann = await join(nc(port), 'ann');
    const rude = python(
      port,
      `s.sendall(b'rude\\r\\n\\x1b[2Jhi\\x07\\r\\n')
sys.stdin.read()
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.close()`,
    );
    await ann.says('<rude> [2Jhi\n');
    rude.endInput();
    await ann.says('* rude has left.\n');

    const endless = await join(python(port, TALK), 'endless');
    endless.write('x'.repeat(100_000));
    await ann.says('* endless has left.\n');
    expect(await endless.ends()).toBeDefined();
    expect(chat.stdout).toContain('endless: ERR_LINE_TOO_LONG\n');
    expect(chat.stderr).toBe('');
  });

  test('Ctrl-C ends it with status 0, and closes all connections', async () => {
    const ann = await join(nc(port), 'ann');
    const bob = await join(socat(port), 'bob');
    chat.kill('SIGINT');
    expect(await chat.ends()).toBe(0);
    for (const user of [ann, bob]) {
      // They got the server's end, and wait for the end of their input.
      user.endInput();
      expect(await user.ends()).toBe(0);
    }
    expect(chat.stderr).toBe('');
  });
});
