/**
 * Peers that send one byte a second (in the short form, twenty), peers that stop in the middle of a
 * line, and one that is in a hurry. The slow ones cost a connection each and nothing else; the silent
 * ones are ended by `idleTimeoutSeconds`, not early; all other connections stay open.
 */
import { Server, type Socket, type SocketMap } from 'asynchia';
import { LineHandler } from 'asynchia/protocols';

import { census } from './servers';
import { play } from './stage';

let idleSeconds = 0;
let timeouts = 0;
let early = 0;

class Lines extends LineHandler {
  #sinceMs = performance.now();

  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    census.come();
    this.idleTimeoutSeconds = idleSeconds;
  }

  override handleRead(): void {
    this.#sinceMs = performance.now();
    void super.handleRead();
  }

  override lineReceived(line: Buffer): void {
    this.sendLine(line);
  }

  override handleTimeout(): void {
    timeouts++;
    if (performance.now() - this.#sinceMs < idleSeconds * 1000) early++;
    this.close();
  }

  override handleCleanup(): void {
    census.go();
  }
}

const SLOW = `
port, count, step = args
line = b'a line of thirty bytes in all\\n'
started()
slow = [connected(port) for i in range(count)]
silent = [connected(port) for i in range(count)]
for peer in silent: peer.sendall(line[:10])
hurried = connected(port)
next, longest = time.monotonic(), 0
for i in range(len(line)):
    for peer in slow: peer.sendall(line[i:i + 1])
    next += step / 1000
    while time.monotonic() < next:
        asked = time.monotonic()
        hurried.sendall(line)
        if hurried.recv(100) != line: raise Exception('the hurried one')
        longest = max(longest, time.monotonic() - asked)
        time.sleep(step / 2000)
answers = [peer.recv(100) for peer in slow]
for peer in slow: peer.close()
hurried.close()
ends = [peer.recv(100) for peer in silent]
tell(answered=answers.count(line), ended=ends.count(b''), longest=int(longest * 1000))
`;

play('one-byte-a-second', async (stage) => {
  const count = stage.pick(50, 1000);
  const stepMs = stage.pick(50, 1000);
  // Shorter than a line, and so much longer than a step that peers which a busy machine keeps waiting
  // are not taken for silent: 1 s and 1.5 s, in the full form 10 s and 30 s.
  idleSeconds = (stepMs / 1000) * 10 + stage.pick(0.5, 0);
  const port = stage.listen(new Server(stage.map, Lines));
  const slow = await stage.peers(SLOW, port, count, stepMs);
  stage.begin();
  const before = process.cpuUsage();
  const { answered = 0, ended = 0, longest = 0 } = await stage.told(slow);
  const { user, system } = process.cpuUsage(before);
  await stage.until(() => census.now === 0, 'the end of every connection');
  stage.connections = 2 * count;
  stage.served = answered + ended;
  stage.bytes = [answered * 30, count * 30];
  stage.holds('who was silent was ended by the time-out', timeouts === count);
  stage.holds('no time-out came early', early === 0);
  stage.fact(
    `${count} lines at a byte every ${stepMs} ms, ${count} silent ones ended after ${idleSeconds} s; ` +
      `${((user + system) / 1e6).toFixed(2)} s of CPU; the hurried one waited ${longest} ms at most`,
  );
  stage.holdsMemory(40);
});
