/**
 * Sockets with the least buffers that the kernel gives (socket(7): SO_SNDBUF and SO_RCVBUF are raised
 * to a minimum), on both sides: nearly every send is short or would block.
 */
import { constants, Server } from 'asynchia';

import { census, Echo } from './servers';
import { play } from './stage';

/** Each sends much, all at the same time, and reads it back. */
const CLIENTS = `
port, count, size = args
started()
ready = selectors.DefaultSelector()
for i in range(count):
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    peer.connect(('127.0.0.1', port))
    peer.setblocking(False)
    ready.register(peer, selectors.EVENT_READ | selectors.EVENT_WRITE, [0, 0])
served = intact = 0
while ready.get_map():
    for key, events in ready.select():
        peer, counts = key.fileobj, key.data
        if events & selectors.EVENT_WRITE:
            at = counts[0] % len(PATTERN)
            try: counts[0] += peer.send(TWICE[at:at + min(65536, size - counts[0])])
            except BlockingIOError: pass
            if counts[0] == size:
                peer.shutdown(socket.SHUT_WR)
                ready.modify(peer, selectors.EVENT_READ, counts)
        if events & selectors.EVENT_READ:
            data = peer.recv(65536)
            if data and is_pattern(data, counts[1]):
                counts[1] += len(data)
                intact += len(data)
            else:
                served += counts[1] == size and not data
                ready.unregister(peer)
                peer.close()
tell(served=served, intact=intact)
`;

play('small-buffers', async (stage) => {
  stage.connections = stage.pick(50, 1000);
  const size = stage.pick(1 << 16, 1 << 18);
  const server = new Server(stage.map, Echo);
  const port = stage.listen(server);
  // Accepted sockets have the listener's.
  for (const option of [constants.SO_SNDBUF, constants.SO_RCVBUF]) {
    server.socket.setsockopt(constants.SOL_SOCKET, option, 1);
  }
  const clients = await stage.peers(CLIENTS, port, stage.connections, size);
  stage.begin();
  const { served = 0, intact = 0 } = await stage.told(clients);
  await stage.until(() => census.now === 0, 'the end of every connection');
  stage.served = served;
  stage.bytes = [intact, stage.connections * size];
  const buffer = (option: number): number => server.socket.getsockopt(constants.SOL_SOCKET, option);
  stage.fact(
    `${buffer(constants.SO_SNDBUF)} bytes to send and ${buffer(constants.SO_RCVBUF)} to receive`,
  );
  stage.holdsMemory(stage.pick(40, 200));
});
