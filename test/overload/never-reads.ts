/**
 * Peers that send endlessly and never read an answer. A handler that stops reading while its
 * output is buffered keeps at most highWaterMark for each; `idleTimeoutSeconds` ends such connections.
 */
import { Server, type Socket, type SocketMap } from 'asynchia';

import { census, Echo } from './servers';
import { play } from './stage';

let idleSeconds = 0;
let timeouts = 0;

class Patient extends Echo {
  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    this.idleTimeoutSeconds = idleSeconds;
  }

  override handleTimeout(): void {
    timeouts++;
    this.close();
  }
}

/** As many, which read all: more bytes than V8 lets lie about as garbage. */
const READING = `
port, count, most = args
started()
ready = selectors.DefaultSelector()
for i in range(count):
    peer = connected(port)
    peer.setblocking(False)
    ready.register(peer, selectors.EVENT_READ | selectors.EVENT_WRITE)
read = 0
while read < most:
    for key, events in ready.select():
        try:
            if events & selectors.EVENT_READ: read += len(key.fileobj.recv(1 << 20))
            if events & selectors.EVENT_WRITE: key.fileobj.send(PATTERN)
        except BlockingIOError: pass
for key in list(ready.get_map().values()): reset(key.fileobj)
tell()
`;

/** Each sends until it is closed; one among them reads. */
const DEAF = `
port, count = args
started()
ready = selectors.DefaultSelector()
reader = connected(port)
for i in range(count):
    peer = connected(port)
    peer.setblocking(False)
    ready.register(peer, selectors.EVENT_WRITE)
sent, longest = 0, 0
while ready.get_map():
    asked = time.monotonic()
    reader.sendall(b'still here')
    if reader.recv(100) != b'still here': raise Exception('the one that reads')
    longest = max(longest, time.monotonic() - asked)
    for key, events in ready.select(0.05):
        try: sent += key.fileobj.send(PATTERN)
        except BlockingIOError: pass
        except (ConnectionResetError, BrokenPipeError):
            ready.unregister(key.fileobj)
            key.fileobj.close()
reader.close()
tell(sent=sent, longest=int(longest * 1000))
`;

play('never-reads', async (stage) => {
  idleSeconds = stage.pick(0.3, 5);
  stage.connections = stage.pick(20, 200);
  const port = stage.listen(new Server(stage.map, Patient));
  await stage.warmUp(await stage.peers(READING, port, stage.connections, stage.pick(3e8, 2e9)));
  await stage.until(() => census.now === 0, 'the end of the peers that read');
  const deaf = await stage.peers(DEAF, port, stage.connections);
  stage.begin();
  const { sent = 0, longest = 0 } = await stage.told(deaf);
  await stage.until(() => census.now === 0, 'the end of every connection');
  stage.served = timeouts;
  const mark = Echo.prototype.highWaterMark;
  stage.holds(
    'no handler buffered more than the mark and one read',
    Echo.mostBuffered <= mark + 65536,
  );
  stage.fact(
    `${(sent / 1e6).toFixed(0)} MB sent and not read, at most ${Echo.mostBuffered} bytes buffered ` +
      `for one; ended after ${idleSeconds} s; the one that reads waited ${longest} ms at most`,
  );
  stage.holdsMemory((stage.connections * 2 * (mark + 65536)) / 2 ** 20 + 20);
});
