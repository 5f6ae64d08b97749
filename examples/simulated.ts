// Two greeters, tested on simulated maps. One of them takes what a read brings for a whole line, as
// it nearly always is on one machine, and as it is not on a network.
import {
  IOHandler,
  Server,
  type Handler,
  type HandlerClass,
  type Socket,
  type SocketMap,
} from 'asynchia';
import { BufferedWriteHandler, LineHandler } from 'asynchia/protocols';
import { simulate, type SimSocketMap } from 'asynchia/testing';

class CarelessGreeter extends IOHandler {
  constructor(socketMap: SocketMap, socket?: Socket) {
    super(socketMap, socket);
    this.setReadable(true);
  }

  override handleRead() {
    const name = this.read(1024).toString().trimEnd();
    this.send(`Hello, ${name}!\n`);
  }
}

class Greeter extends LineHandler {
  override lineReceived(name: Buffer) {
    this.sendLine(`Hello, ${name.toString()}!`);
  }
}

class Client extends BufferedWriteHandler {
  answer = '';

  override handleConnect() {
    this.setReadable(true);
    this.sendAll('world\n');
  }

  override handleRead() {
    this.answer += this.read(1024).toString();
  }
}

/** What has to hold, whatever the network does. */
function greets(map: SimSocketMap, greeter: HandlerClass<Handler>) {
  const server = new Server(map, greeter);
  server.bind(['127.0.0.1', 25000]);
  server.listen(8);
  const client = new Client(map);
  client.connect(['127.0.0.1', 25000]);
  map.runUntilIdle();
  if (client.answer !== 'Hello, world!\n') {
    throw new Error(`answered ${JSON.stringify(client.answer)} after ${map.now.toFixed(3)} s`);
  }
}

async function test(greeter: HandlerClass<Handler>) {
  try {
    await simulate((map) => greets(map, greeter));
    console.log(`${greeter.name}: no seed found anything`);
  } catch (error) {
    console.log(`${greeter.name}: ${(error as Error).message}`);
  }
}

async function main() {
  await test(CarelessGreeter);
  await test(Greeter);
}

void main();
