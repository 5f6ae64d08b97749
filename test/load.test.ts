/** What a server has to stand: much data through a slow reader, and very many connections. */
import { Server, type SocketMap, type Socket } from '../lib';
import { candidates, EpollSocketMap, PollSocketMap } from '../lib/maps';
import { BufferedWriteHandler } from '../lib/protocols';
import { python } from './support/peers';

/** So much takes its time on a busy machine. */
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

function serve(map: SocketMap): number {
  const server = new Server(map, Echo);
  server.bind(['127.0.0.1', 0]);
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
  '%s: 64 MB echoed through a slow reader arrive whole',
  async (_name, mapClass) => {
    const map = new mapClass();
    const running = map.run();
    Echo.buffered = 0;
    const reader = python(SLOW_READER, serve(map));
    await reader.says(`${64 << 20} True`, PATIENCE_MS);
    // Backpressure held: what it did not read waited in its own socket, not here.
    expect(Echo.buffered).toBeLessThanOrEqual(2 * 65536);
    map.close();
    await running;
  },
  60_000,
);

const MANY_CONNECTIONS = `
import resource
port, count = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
peers = []
for i in range(count):
    peer = socket.socket()
    peer.connect(('127.0.0.1', port))
    peers.append(peer)
def echoes(peer, text):
    peer.sendall(text)
    return peer.recv(100) == text
say('%d %s' % (len(peers), all(echoes(peers[i], b'message %d' % i) for i in [0, count // 2, count - 1] * 100)))
hear()
`;

test.each([
  ['poll', PollSocketMap],
  ['epoll', EpollSocketMap],
] as const)(
  '%s: 19,000 connections are held at once, and one among them is answered',
  async (_name, mapClass) => {
    const map = new mapClass();
    const running = map.run();
    const peers = python(MANY_CONNECTIONS, serve(map), 19_000);
    await peers.says('19000 True', PATIENCE_MS);
    map.close();
    peers.endInput();
    await peers.ends();
    await running;
  },
  60_000,
);
