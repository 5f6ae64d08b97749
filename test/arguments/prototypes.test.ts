/** Settings on the prototype of a class, in place of a field. */
import { AcceptHandler, IOHandler, Server, type Socket } from '../../lib';
import { BufferedWriteHandler, LineHandler } from '../../lib/protocols';
import { onEveryMap } from '../support/maps';
import { createSocket, socketpair, tcpListener } from '../support/streams';
import { expectQuiet, turnUntil } from '../support/turns';

onEveryMap('on a prototype', (map, { testWithoutFaults }) => {
  test.each(['idleTimeoutSeconds', 'idleTimeout'] as const)('%s is the time of all', (name) => {
    class Idle extends IOHandler {
      isTimedOut = false;
      override handleTimeout(): void {
        this.isTimedOut = true;
        this.close();
      }
    }
    expect(Idle.prototype[name]).toBe(0);
    Idle.prototype[name] = 0.01;
    expect(Idle.prototype[name]).toBe(0.01);
    const [ours, theirs] = socketpair();
    const [first, second] = [new Idle(map(), ours), new Idle(map(), theirs)];
    second[name] = 0;
    expect([first.idleTimeoutSeconds, first[name]]).toEqual([0.01, 0.01]);
    turnUntil(map(), () => first.closed, 'the time-out');
    expect([first.isTimedOut, second.isTimedOut]).toEqual([true, false]);
    // The classes above are as before.
    expect(new IOHandler(map()).idleTimeoutSeconds).toBe(0);
  });

  testWithoutFaults('maxConnections is the limit of all', () => {
    const accepted: Socket[] = [];
    class Listener extends AcceptHandler {
      override handleAccept(socket: Socket): void {
        accepted.push(socket);
      }
    }
    expect(Listener.prototype.maxConnections).toBe(Infinity);
    Listener.prototype.maxConnections = 1;
    const listener = new Listener(map());
    expect(listener.maxConnections).toBe(1);
    listener.bind(['127.0.0.1', 0]);
    listener.listen(8);
    const clients = [createSocket(), createSocket()];
    for (const client of clients) client.connect(listener.socket.getsockname());
    turnUntil(map(), () => accepted.length > 0, 'the first');
    expectQuiet(map());
    expect(accepted).toHaveLength(1);
    accepted[0]?.close();
    turnUntil(map(), () => accepted.length > 1, 'the second');
    for (const socket of [...clients, ...accepted]) socket.close();
  });

  test('an invalid one goes to handleError, or throws at listen, as for a field', () => {
    class Listener extends AcceptHandler {}
    Listener.prototype.maxConnections = -1;
    const listener = new Listener(map());
    listener.bind(['127.0.0.1', 0]);
    expect(() => listener.listen(1)).toThrow('maxConnections must be an integer, 1 or more');
  });

  test('the settings without an accessor work, too', () => {
    class Lines extends LineHandler {}
    Lines.prototype.delimiter = '\r\n';
    Lines.prototype.highWaterMark = 1;
    class Buffered extends BufferedWriteHandler {}
    expect([new Lines(map()).delimiter, new Lines(map()).highWaterMark]).toEqual(['\r\n', 1]);
    expect(new Buffered(map()).highWaterMark).toBe(64 * 1024);
  });

  test('a Server listens on the socket that it is given', () => {
    const made: IOHandler[] = [];
    class Connection extends IOHandler {
      constructor(...args: ConstructorParameters<typeof IOHandler>) {
        super(...args);
        made.push(this);
      }
    }
    const listener = tcpListener();
    const server = new Server(map(), Connection, listener);
    expect(server.socket).toBe(listener);
    server.setReadable(true);
    const client = createSocket();
    client.connect(listener.getsockname());
    turnUntil(map(), () => made.length > 0, 'the connection');
    client.close();
  });
});
