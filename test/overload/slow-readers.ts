/**
 * Slow readers, each with many megabytes to read. A handler that respects the result of `sendAll`
 * buffers at most highWaterMark for each.
 */
import { constants, Server, type Socket, type SocketMap } from 'asynchia';
import { BufferedWriteHandler } from 'asynchia/protocols';

import { PATTERN, play } from './stage';

const PIECE = PATTERN.length / 2;
let owedBytes = 0;
let open = 0;
let mostBuffered = 0;

class Sender extends BufferedWriteHandler {
  #sent = 0;

  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    open++;
    this.#sendOn();
  }

  override handleDrain(): void {
    this.#sendOn();
  }

  override handleCleanup(): void {
    open--;
  }

  #sendOn(): void {
    let hasRoom = true;
    while (hasRoom && this.#sent < owedBytes) {
      const start = this.#sent % PATTERN.length;
      hasRoom = this.sendAll(PATTERN.subarray(start, start + PIECE));
      this.#sent += PIECE;
      mostBuffered = Math.max(mostBuffered, this.bufferedAmount);
    }
    if (this.#sent >= owedBytes) this.end();
  }
}

/** Reads a little of each, with a pause after every round. */
const READERS = `
port, count, owed = args
started()
readers = {}
for i in range(count):
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    peer.connect(('127.0.0.1', port))
    peer.setblocking(False)
    readers[peer] = 0
served = intact = 0
while readers:
    for peer, got in list(readers.items()):
        try: data = peer.recv(65536)
        except BlockingIOError: continue
        if data and is_pattern(data, got):
            readers[peer] = got + len(data)
            intact += len(data)
        else:
            served += got == owed and not data
            peer.close()
            del readers[peer]
    time.sleep(0.005)
tell(served=served, intact=intact)
`;

play('slow-readers', async (stage) => {
  stage.connections = stage.pick(100, 1000);
  owedBytes = stage.pick(20, 160) * PATTERN.length;
  const server = new Server(stage.map, Sender);
  const port = stage.listen(server);
  // The kernel's share is bounded too: accepted sockets have the listener's.
  server.socket.setsockopt(constants.SOL_SOCKET, constants.SO_SNDBUF, 65536);
  const readers = await stage.peers(READERS, port, stage.connections, owedBytes);
  stage.begin();
  const { served = 0, intact = 0 } = await stage.told(readers);
  await stage.until(() => open === 0, 'the end of every connection');
  stage.served = served;
  stage.bytes = [intact, stage.connections * owedBytes];
  const mark = BufferedWriteHandler.prototype.highWaterMark;
  stage.holds('no handler buffered more than the mark and one piece', mostBuffered <= mark + PIECE);
  stage.fact(
    `${(owedBytes / 1e6).toFixed(1)} MB owed to each, at most ${mostBuffered} bytes buffered for one`,
  );
  // What is buffered lies in whole blocks, and the garbage of a moment comes on top.
  stage.holdsMemory((stage.connections * 2 * (mark + PIECE)) / 2 ** 20 + 40);
});
