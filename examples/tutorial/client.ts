/** The tutorial's client. */
import { DefaultSocketMap } from 'asynchia/maps';
import { BufferedWriteHandler } from 'asynchia/protocols';

const socketMap = new DefaultSocketMap();

class EchoClient extends BufferedWriteHandler {
  override handleConnect() { this.sendAll('Hello from the echo-client\n'); }
}
new EchoClient(socketMap).connect(['127.0.0.1', 25000]);
socketMap.run();
