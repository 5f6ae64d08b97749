/**
 * Lines without end. `maxLineLength` ends the connection, with one error, before it costs more
 * memory than that; a line of just that length is served.
 */
import { Server, type Socket, type SocketMap } from 'asynchia';
import { LineHandler } from 'asynchia/protocols';

import { census } from './servers';
import { play } from './stage';

const LONGEST = 65_536;
const errors = new Map<string, number>();

class Lines extends LineHandler {
  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    census.come();
  }

  override lineReceived(line: Buffer): void {
    this.sendLine(line);
  }

  override handleError(error: unknown): void {
    const code = String((error as { code?: unknown }).code);
    errors.set(code, (errors.get(code) ?? 0) + 1);
  }

  override handleCleanup(): void {
    census.go();
  }
}

/** Half of them send what is no line, as much as they are let; half a line of just the length. */
const ENDLESS = `
port, count, most = args
started()
ready = selectors.DefaultSelector()
longest = (b'0123456789abcdef' * 4096)[:65536]
endless = bytes(65536)
for i in range(2 * count):
    peer = connected(port)
    peer.setblocking(False)
    # What it sends, how much of it is sent, what came back.
    data = longest + b'\\n' if i % 2 else None
    ready.register(peer, selectors.EVENT_READ | selectors.EVENT_WRITE, [data, 0, bytearray()])
def end(key):
    ready.unregister(key.fileobj)
    key.fileobj.close()
served = intact = refused = sent = 0
while ready.get_map():
    for key, events in ready.select():
        peer, (data, at, back) = key.fileobj, key.data
        try:
            if events & selectors.EVENT_WRITE:
                n = peer.send(data[at:] if data else endless)
                key.data[1] += n
                if not data: sent += n
                if key.data[1] >= (len(data) if data else most):
                    ready.modify(peer, selectors.EVENT_READ, key.data)
            if events & selectors.EVENT_READ:
                part = peer.recv(131072)
                back += part
                if data and back == data:
                    served += 1
                    intact += len(back)
                    end(key)
                elif not part:
                    refused += not data
                    end(key)
        except BlockingIOError: pass
        except (ConnectionResetError, BrokenPipeError):
            refused += not data
            end(key)
tell(served=served, intact=intact, refused=refused, sent=sent)
`;

play('endless-lines', async (stage) => {
  const count = stage.pick(50, 1000);
  const server = new Server(stage.map, Lines);
  const port = stage.listen(server);
  const peers = await stage.peers(ENDLESS, port, count, stage.pick(1 << 24, 1 << 30));
  stage.begin();
  const { served = 0, intact = 0, refused = 0, sent = 0 } = await stage.told(peers);
  await stage.until(() => census.now === 0, 'the end of every connection');
  stage.connections = 2 * count;
  stage.served = served + refused;
  stage.bytes = [intact, count * (LONGEST + 1)];
  const isToldOnce = errors.size === 1 && errors.get('ERR_LINE_TOO_LONG') === count;
  stage.holds('each endless line was told once', isToldOnce);
  stage.fact(
    `${count} endless lines refused after ${(sent / count / 1e6).toFixed(2)} MB each had left ` +
      `their peers, and ${count} of ${LONGEST} bytes served`,
  );
  // A line, what came behind it in the same read, and the answer that waits.
  stage.holdsMemory((2 * count * 4 * LONGEST) / 2 ** 20 + 40);
});
