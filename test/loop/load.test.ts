/** Load: much data through a slow reader, and very many connections. */
import { Server, type SocketMap, type Socket } from '../../lib';
import { candidates, EpollSocketMap, PollSocketMap } from '../../lib/maps';
import { BufferedWriteHandler } from '../../lib/protocols';
import { python } from '../support/peers';
import type { Program } from '../support/processes';

/** Time for a busy machine. */
const PATIENCE_MS = 55_000;

/** Echoes, and stops reading while its peer does. */
class Echo extends BufferedWriteHandler {
  static buffered = 0;

  constructor(socketMap: SocketMap, socket: Socket) {
    super(socketMap, socket);
    this.setReadable(true);
  }

  override handleRead(): void {
    if (!this.sendAll(this.read(65536))) this.setReadable(false);
    Echo.buffered = Math.max(Echo.buffered, this.bufferedAmount);
  }

  override handleDrain(): void {
    this.setReadable(true);
  }
}

/** Resources of a test: a failing one must not leave thousands of descriptors open. */
let map: SocketMap | undefined;
let peers: Program | undefined;
afterEach(() => {
  map?.close();
  peers?.kill();
});

/** Starts a server on every address of this machine. Returns its port. */
function serve(on: SocketMap): number {
  map = on;
  const server = new Server(map, Echo);
  server.bind(['0.0.0.0', 0]);
  server.listen(4096);
  const address = server.socket.getsockname();
  return 'port' in address ? address.port : 0;
}

const SLOW_READER = `
data = os.urandom(1 << 20) * 64
peer = socket.socket()
peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
peer.connect(('127.0.0.1', int(sys.argv[1])))
def send():
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got, count, pauses = hashlib.sha256(), 0, 0
while True:
    part = peer.recv(262144)
    if not part: break
    got.update(part)
    count += len(part)
    if count >> 22 > pauses:
        pauses += 1
        time.sleep(0.02)
say('%d %s' % (count, got.digest() == hashlib.sha256(data).digest()))
`;

test.each(candidates.filter((map) => map.available).map((map) => [map.backend, map] as const))(
  '%s: 64 MB echoed through a slow reader arrive completely',
  async (_name, mapClass) => {
    const map = new mapClass();
    const running = map.run();
    Echo.buffered = 0;
    peers = python(SLOW_READER, serve(map));
    await peers.says(`${64 << 20} True`, PATIENCE_MS);
    // Backpressure: what the peer did not read waited in its socket, not here.
    expect(Echo.buffered).toBeLessThanOrEqual(2 * 65536);
    map.close();
    await running;
  },
  60_000,
);

/**
 * Two measures make this fast. For one address, the kernel searches a free port among
 * all used ones (thousands, for each connection), so there are several addresses. And what
 * a full backlog drops is retried after a second, so none is filled: a client that got an answer
 * was accepted, as were all before it.
 */
const MANY_CONNECTIONS = `
import resource
port, count = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
def echoes(peer, text):
    peer.sendall(text)
    return peer.recv(100) == text
peers = []
for i in range(count):
    peer = socket.socket()
    peer.connect(('127.0.0.%d' % (i % 8 + 1), port))
    peers.append(peer)
    if len(peers) % 1000 == 0: say('%d %s' % (len(peers), echoes(peer, b'accepted')))
say('all %s' % all(echoes(peers[i], b'message %d' % i) for i in [0, count // 2, count - 1] * 10))
hear()
`;

test.each([
  ['poll', PollSocketMap],
  ['epoll', EpollSocketMap],
] as const)(
  '%s: with 19,000 open connections, one of them gets its answer',
  async (_name, mapClass) => {
    const map = new mapClass();
    const running = map.run();
    peers = python(MANY_CONNECTIONS, serve(map), 19_000);
    for (let count = 1000; count <= 19_000; count += 1000) await peers.says(`${count} True\n`);
    await peers.says('all True');
    map.close();
    peers.endInput();
    await peers.ends();
    await running;
  },
  60_000,
);
