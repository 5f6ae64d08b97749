/**
 * Connections that end in every way: closed after an answer, half-closed, reset before the answer
 * arrives, reset at once, and lost without a packet, as when a cable is pulled (TCP_REPAIR, with
 * root's rights; else silent). Only `idleTimeoutSeconds` ends the lost ones.
 */
import { Server, type Socket, type SocketMap } from 'asynchia';

import { census, Echo } from './servers';
import { play } from './stage';

const IDLE_SECONDS = 0.5;
let accepted = 0;
let timeouts = 0;

class Brief extends Echo {
  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    accepted++;
    this.idleTimeoutSeconds = IDLE_SECONDS;
  }

  override handleTimeout(): void {
    timeouts++;
    this.close();
  }
}

const COMERS = `
port, count, wave = args
TCP_REPAIR = 19
def vanish(peer):
    try:
        peer.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        peer.close()
        return None
    except PermissionError:
        return peer
started()
intact = answered = resets = vanished = can_vanish = made = 0
silent = []
ways = ['close', 'half-close', 'reset after asking', 'reset', 'vanish']
while made < count:
    peers = []
    for i in range(min(wave, count - made)):
        peer = socket.socket()
        # Many addresses, lest the ports give out: each closed one waits for a while (TIME_WAIT).
        peer.bind(('127.%d.%d.%d' % (1 + made % 3, made // 250 % 250, 1 + made % 250), 0))
        peer.connect(('127.0.0.1', port))
        peers.append((ways[made % len(ways)], peer))
        made += 1
    for way, peer in peers:
        if way in ('close', 'half-close', 'reset after asking'): peer.sendall(PATTERN[:64])
        if way == 'half-close': peer.shutdown(socket.SHUT_WR)
    for way, peer in peers:
        if way in ('close', 'half-close'):
            answer = peer.recv(100)
            if answer == PATTERN[:64]: answered += 1
            intact += len(answer)
            if way == 'half-close' and peer.recv(100): raise Exception('more than was asked for')
            peer.close()
        elif way == 'vanish':
            vanished += 1
            left = vanish(peer)
            if left is None: can_vanish += 1
            else: silent.append(left)
        else:
            resets += 1
            reset(peer)
    while len(silent) > 2000: silent.pop(0).recv(1)
ends = [peer.recv(1) for peer in silent]
tell(answered=answered, intact=intact, resets=resets, vanished=vanished, can_vanish=can_vanish)
`;

play('come-and-go', async (stage) => {
  stage.connections = stage.pick(2000, 100_000);
  const port = stage.listen(new Server(stage.map, Brief));
  const comers = await stage.peers(COMERS, port, stage.connections, stage.pick(500, 1000));
  stage.begin();
  const told = await stage.told(comers);
  const { answered = 0, intact = 0, resets = 0, vanished = 0, can_vanish: pulled = 0 } = told;
  await stage.until(() => census.now === 0, 'the end of every connection');
  stage.served = answered + resets + Math.min(vanished, timeouts);
  stage.bytes = [intact, 64 * Math.floor((stage.connections * 2) / 5)];
  // A connection that is reset while it waits in the backlog may be none any more (accept(2)).
  stage.holds(
    'each connection had one handler',
    accepted <= stage.connections && accepted >= stage.connections - resets,
  );
  stage.holds('who vanished was ended by the time-out, and nobody else', timeouts === vanished);
  stage.fact(
    `${answered} answered, ${resets} reset, ${vanished} vanished (${pulled} without a word to the ` +
      `server) and ended after ${IDLE_SECONDS} s; at most ${census.most} at once`,
  );
  stage.holdsMemory(stage.pick(40, 120));
});
