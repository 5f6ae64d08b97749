/** The tutorial's server: prints everything it receives to stdout. */
import { AcceptHandler, IOHandler, type Address, type Socket, type SocketMap } from 'asynchia';
import { DefaultSocketMap } from 'asynchia/maps';

const BUFFER_SIZE = 4096;

class EchoHandler extends IOHandler {
  constructor(socketMap: SocketMap, sock?: Socket) {
    super(socketMap, sock);
    this.setReadable(true);
  }
  override handleRead() { process.stdout.write(this.read(BUFFER_SIZE)); }
  override handleClose() { console.log('Peer said bye-bye.'); }
}

class EchoAcceptor extends AcceptHandler {
  override handleAccept(sock: Socket, address: Address) { new EchoHandler(this.socketMap, sock); }
}

const socketMap = new DefaultSocketMap();
const server = new EchoAcceptor(socketMap);
server.reuseAddr();
server.bind(['127.0.0.1', 25000]);
server.listen(0);
socketMap.run();
