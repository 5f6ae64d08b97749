/**
 * Far more clients at once than the backlog holds. The kernel drops what does not fit, and the
 * clients' kernel retries; all are served, and open connections are answered meanwhile.
 */
import { readFileSync } from 'node:fs';

import { Server } from 'asynchia';

import { census, Echo } from './servers';
import { play } from './stage';

/** All connect at the same time and send; they stay until all are answered. */
const STORM = `
port, count = args
stays = connected(port)
started()
ready = selectors.DefaultSelector()
begun = time.monotonic()
peers = []
for i in range(count):
    peer = socket.socket()
    peer.setblocking(False)
    peer.bind(('127.0.0.%d' % (1 + i % 200), 0))
    peer.connect_ex(('127.0.0.1', port))
    ready.register(peer, selectors.EVENT_WRITE, PATTERN[4 * i % 65000:][:64])
    peers.append(peer)
say('stormed')
intact, longest = 0, 0
while ready.get_map():
    asked = time.monotonic()
    stays.sendall(b'still here')
    if stays.recv(100) != b'still here': raise Exception('the one that stays')
    longest = max(longest, time.monotonic() - asked)
    for key, events in ready.select(0.1):
        if events & selectors.EVENT_WRITE:
            key.fileobj.send(key.data)
            ready.modify(key.fileobj, selectors.EVENT_READ, key.data)
        else:
            answer = key.fileobj.recv(100)
            intact += len(answer) if answer == key.data else 0
            ready.unregister(key.fileobj)
took = time.monotonic() - begun
for peer in peers: peer.close()
tell(intact=intact, ms=int(took * 1000), longest=int(longest * 1000))
`;

/** How often a connection found no room in a backlog of this machine (proc_net_netstat). */
function listenOverflows(): number {
  const [names = '', values = ''] = readFileSync('/proc/net/netstat', 'latin1').split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('ListenOverflows')]);
}

play('connect-storm', async (stage) => {
  stage.connections = stage.pick(1000, 19_000);
  const backlog = stage.pick(128, 1024);
  const server = new Server(stage.map, Echo);
  const port = stage.listen(server, backlog);
  const storm = await stage.peers(STORM, port, stage.connections);
  await stage.until(() => census.now === 1, 'the one that stays');
  const overflows = listenOverflows();
  // The storm comes while the loop is busy, so that the backlog certainly overflows.
  server.setReadable(false);
  stage.begin();
  await storm.says('stormed');
  server.setReadable(true);
  const { intact = 0, ms = 0, longest = 0 } = await stage.told(storm);
  await stage.until(() => census.now === 1, 'the end of every connection but one');
  stage.served = intact / 64;
  stage.bytes = [intact, 64 * stage.connections];
  const dropped = listenOverflows() - overflows;
  stage.holds('the backlog overflowed', dropped > 0);
  stage.holds('all were connected at once', census.most === stage.connections + 1);
  stage.fact(
    `backlog ${backlog}, ${dropped} times too short: all answered after ${ms / 1000} s; ` +
      `who was connected before waited ${longest} ms at most for an answer`,
  );
  stage.holdsMemory(stage.pick(40, 150));
});
