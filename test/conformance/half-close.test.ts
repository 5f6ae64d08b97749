/** Peers that half-close and still read (rule 14). */
import net from 'node:net';

import { constants, type Socket, type SocketMap } from '../../lib';
import { BufferedWriteHandler } from '../../lib/protocols';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { sendText, streams, tcpListener, tcpPair } from '../support/streams';
import { expectQuiet, turnUntil, until } from '../support/turns';

const BIG = '0123456789abcdef'.repeat(256 * 1024);

class HalfOpen extends Acting {
  override allowHalfOpen = true;
}

/** A client that sends a request, half-closes, and reads the answer in small parts. */
function askAndEnd(map: SocketMap, socket: Socket, request = ''): Recorder {
  const client = new Recorder(map, socket);
  client.readBytes = 16 * 1024;
  sendText(socket, request);
  client.shutdown(constants.SHUT_WR);
  return client;
}

onEveryMap('half-close', (map, { testOnSystem }) => {
  test.each(streams)('rule 14: a peer gets all that sendAll accepted (%s)', (_name, pair) => {
    const [ours, theirs] = pair();
    const handler = new Recorder(map(), ours);
    handler.sendAll(BIG);
    const client = askAndEnd(map(), theirs, 'last words');
    turnUntil(map(), () => handler.closed && client.closed, 'both to end');
    expect(client.received === BIG).toBe(true);
    expect(handler.received).toBe('last words');
    expect(handler.events.slice(-2)).toEqual(['close', 'cleanup']);
    expect(client.events.slice(-2)).toEqual(['close', 'cleanup']);
  });

  test.each(streams)(
    'rule 14: a peer gets what handleRead sent before the end (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new Acting(map(), ours);
      handler.on.read = () => {
        delete handler.on.read;
        handler.sendAll(BIG);
      };
      const client = askAndEnd(map(), theirs, 'request');
      turnUntil(map(), () => handler.closed && client.closed, 'both to end');
      expect(client.received === BIG).toBe(true);
      expect(handler.events.slice(-2)).toEqual(['close', 'cleanup']);
    },
  );

  test('rule 14: handleClose is called after all output is sent', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Recorder(map(), ours);
    handler.sendAll(BIG);
    const client = askAndEnd(map(), theirs);
    client.setReadable(false);
    expectQuiet(map());
    expect(handler.closed).toBe(false);
    expect(handler.bufferedAmount).toBeGreaterThan(0);
    client.setReadable(true);
    turnUntil(map(), () => handler.closed && client.closed, 'both to end');
    expect(client.received === BIG).toBe(true);
  });

  test('rules 2, 14: a paused handler sends its buffered output, reads, and ends', () => {
    const [ours, theirs] = tcpPair();
    const handler = new Recorder(map(), ours);
    handler.setReadable(false);
    handler.sendAll(BIG);
    const client = askAndEnd(map(), theirs, 'unread');
    turnUntil(map(), () => client.received.length === BIG.length, 'all the output');
    expectQuiet(map());
    expect(handler.closed).toBe(false);
    handler.setReadable(true);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.received).toBe('unread');
    expect(handler.events.slice(-2)).toEqual(['close', 'cleanup']);
  });

  test.each(streams)(
    'rule 14: allowHalfOpen: handleEnd is called once, then end() closes (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new HalfOpen(map(), ours);
      const client = askAndEnd(map(), theirs, 'request');
      turnUntil(map(), () => handler.count('end') > 0, 'handleEnd');
      expectQuiet(map());
      handler.sendAll('answer ');
      expectQuiet(map());
      handler.end('and goodbye');
      turnUntil(map(), () => handler.closed && client.closed, 'both to end');
      expect(client.received).toBe('answer and goodbye');
      const told = handler.events.filter((event) => event !== 'write');
      expect(told).toEqual(['read request', 'end', 'cleanup']);
    },
  );

  test('rule 14: allowHalfOpen: handleEnd is called once, then close() closes', () => {
    const [ours, theirs] = tcpPair();
    const handler = new HalfOpen(map(), ours);
    handler.on.end = () => handler.close();
    theirs.shutdown(constants.SHUT_WR);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['end', 'cleanup']);
    theirs.close();
  });

  test.each(streams)(
    'rule 14: a half-close answered by our own ends the handler (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new HalfOpen(map(), ours);
      handler.on.end = () => handler.shutdown(constants.SHUT_WR);
      const client = askAndEnd(map(), theirs, 'request');
      turnUntil(map(), () => handler.closed && client.closed, 'both to end');
      expect(handler.events).toEqual(['read request', 'end', 'close', 'cleanup']);
      expect(ours.closed).toBe(true);
    },
  );

  test.each(streams)(
    'rule 14: our own half-close behind output, long after the peer has ended, ends the handler (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new HalfOpen(map(), ours);
      const client = askAndEnd(map(), theirs);
      turnUntil(map(), () => handler.count('end') > 0, 'handleEnd');
      expectQuiet(map());
      map().delHandler(handler);
      handler.sendAll(BIG);
      handler.shutdown(constants.SHUT_WR);
      map().addHandler(handler);
      turnUntil(map(), () => handler.closed && client.closed, 'both to end');
      expect(client.received === BIG).toBe(true);
      expect(handler.events.slice(-2)).toEqual(['close', 'cleanup']);
    },
  );

  test.each(streams)(
    'rule 14: handleEnd is called where the handler has half-closed first (%s)',
    (_name, pair) => {
      const [ours, theirs] = pair();
      const handler = new HalfOpen(map(), ours);
      handler.shutdown(constants.SHUT_WR);
      sendText(theirs, 'answer');
      theirs.shutdown(constants.SHUT_WR);
      turnUntil(map(), () => handler.closed, 'the end');
      expect(handler.events).toEqual(['read answer', 'end', 'close', 'cleanup']);
      theirs.close();
    },
  );

  test.each(streams)('rule 14: a handler that shuts down both sides ends (%s)', (_name, pair) => {
    const [ours, theirs] = pair();
    const handler = new HalfOpen(map(), ours);
    handler.shutdown(constants.SHUT_RDWR);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['close', 'cleanup']);
    theirs.close();
  });

  test('rule 14: allowHalfOpen: large output after handleEnd arrives completely', () => {
    const [ours, theirs] = tcpPair();
    const handler = new HalfOpen(map(), ours);
    handler.on.end = () => handler.end(BIG);
    const client = askAndEnd(map(), theirs);
    turnUntil(map(), () => handler.closed && client.closed, 'both to end');
    expect(client.received === BIG).toBe(true);
    expect(handler.count('end')).toBe(1);
    expect(handler.count('close')).toBe(0);
  });

  test.each(streams)(
    'rules 4, 14: a half-open handler whose peer closes completely ends (%s)',
    (_n, pair) => {
      const [ours, theirs] = pair();
      const handler = new HalfOpen(map(), ours);
      theirs.shutdown(constants.SHUT_WR);
      turnUntil(map(), () => handler.count('end') > 0, 'handleEnd');
      theirs.close();
      // TCP reports it only once a segment is answered with a reset.
      const hasHeard = () => handler.closed || (handler.sendAll('anybody?'), map().poll(0), false);
      turnUntil(map(), hasHeard, 'the end');
      expect(handler.count('end')).toBe(1);
      expect(handler.events.at(-2)).toMatch(/^close/);
      expect(handler.events.at(-1)).toBe('cleanup');
    },
  );

  testOnSystem(
    'rule 14: a node:net client that half-closes gets all output from run()',
    async () => {
      class Answering extends BufferedWriteHandler {
        override handleRead(): void {
          this.read(65536);
          this.sendAll(BIG);
        }
      }
      const listener = tcpListener();
      const bound = listener.getsockname();
      const client = net.connect({ host: '127.0.0.1', port: 'port' in bound ? bound.port : 0 });
      let received = 0;
      let isEnded = false;
      client.on('data', (data) => (received += data.length));
      client.on('end', () => (isEnded = true));
      client.end('request');
      const acceptor = new Recorder(map(), listener);
      acceptor.handleRead = () => {
        const accepted = listener.accept();
        if (accepted !== undefined) new Answering(map(), accepted.socket).setReadable(true);
      };
      const running = map().run();
      await until(() => isEnded, 'the end of the answer');
      map().close();
      await running;
      expect(received).toBe(BIG.length);
      client.destroy();
    },
  );
});
