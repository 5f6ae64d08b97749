/**
 * More clients than descriptors. The listener backs off and retries; open connections are not
 * affected, and waiting clients are served in the end. With maxConnections below the limit of
 * descriptors there is no error.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';

import { Server, type SystemError } from 'asynchia';

import { census, Echo } from './servers';
import { play } from './stage';

/** Descriptors that are left for connections. */
const ROOM = 50;

class EchoServer extends Server<Echo> {
  readonly errors: string[] = [];

  override handleAcceptError(error: SystemError): void {
    this.errors.push(error.code);
  }
}

/** All connect at once, ask, are answered, and go; one stays, and asks throughout. */
const CLIENTS = `
def rush(port, count):
    ready = selectors.DefaultSelector()
    for i in range(count):
        peer = socket.socket()
        peer.setblocking(False)
        peer.connect_ex(('127.0.0.1', port))
        ready.register(peer, selectors.EVENT_WRITE, PATTERN[4 * i:4 * i + 64])
    intact = 0
    while ready.get_map():
        stays.sendall(b'still here')
        if stays.recv(100) != b'still here': raise Exception('the one that stays')
        for key, events in ready.select(1):
            if events & selectors.EVENT_WRITE:
                key.fileobj.send(key.data)
                ready.modify(key.fileobj, selectors.EVENT_READ, key.data)
            else:
                answer = key.fileobj.recv(100)
                intact += len(answer) if answer == key.data else 0
                ready.unregister(key.fileobj)
                key.fileobj.close()
    return intact
port, limited, count = args
started()
for at in (port, limited):
    stays = connected(at)
    say('stays')
    hear()
    begun = time.monotonic()
    intact = rush(at, count)
    stays.close()
    tell(intact=intact, ms=int((time.monotonic() - begun) * 1000))
`;

play('out-of-descriptors', async (stage) => {
  const count = stage.pick(300, 4000);
  const server = new EchoServer(stage.map, Echo);
  const limited = new EchoServer(stage.map, Echo);
  const ports = [stage.listen(server), stage.listen(limited)] as const;
  const clients = await stage.peers(CLIENTS, ...ports, count);
  stage.begin();
  const open = readdirSync('/proc/self/fd').length - 1;
  execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${open + ROOM}:`]);
  limited.maxConnections = ROOM - 10;
  stage.connections = 2 * count;
  const seconds: string[] = [];
  const mosts: number[] = [];
  for (let part = 0; part < 2; part++) {
    await clients.says('stays\n');
    clients.stdout = '';
    clients.write('go\n');
    const { intact = 0, ms = 0 } = await stage.told(clients);
    await stage.until(() => census.now === 0, 'the end of every connection');
    stage.bytes = [stage.bytes[0] + intact, stage.bytes[1] + 64 * count];
    stage.served += intact / 64;
    seconds.push((ms / 1000).toFixed(1));
    if (part === 0) clients.write('go\n');
    mosts.push(census.most);
    census.most = 0;
    clients.stdout = '';
  }
  const codes = [...new Set(server.errors)].join();
  stage.holds('the listener was told EMFILE', codes === 'EMFILE');
  // It rests for 50 ms and more each time.
  stage.holds('it did not try in vain all the time', server.errors.length <= count);
  stage.holds('with maxConnections there was no error', limited.errors.length === 0);
  stage.holds('nor were there more than maxConnections', (mosts[1] ?? Infinity) <= ROOM - 10);
  stage.fact(
    `${ROOM} descriptors: ${count} clients in ${seconds[0]} s, EMFILE ${server.errors.length} times; ` +
      `with maxConnections ${limited.maxConnections} in ${seconds[1]} s`,
  );
});
