/** Bytes of any view and of another realm, and lengths and offsets beyond 2³¹. */
import vm from 'node:vm';

import { constants, Socket } from '../../lib';
import { BufferedWriteHandler } from '../../lib/protocols';
import { onEveryMap } from '../support/maps';
import { insist, receiveText, socketpair } from '../support/streams';
import { turnUntil } from '../support/turns';

function inOtherRealm(expression: string): Uint8Array {
  return vm.runInNewContext(expression) as Uint8Array;
}

function bytesOf(view: NodeJS.ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

/** Each holds the bytes of `hello` and three more. */
const views: Readonly<Record<string, () => NodeJS.ArrayBufferView>> = {
  'a Uint8Array of another realm': () => inOtherRealm('new Uint8Array(8)'),
  'a DataView': () => new DataView(new ArrayBuffer(16), 8),
  'a Float64Array': () => new Float64Array(1),
  'a DataView of another realm': () => inOtherRealm('new DataView(new ArrayBuffer(8))'),
  'a part of an Int16Array of another realm': () =>
    inOtherRealm('new Int16Array(new ArrayBuffer(16), 4, 4)'),
};

onEveryMap('bytes', (map, { testWithoutFaults }) => {
  let handler: BufferedWriteHandler;
  let peer: Socket;
  beforeEach(() => {
    const [ours, theirs] = socketpair();
    handler = new BufferedWriteHandler(map(), ours);
    peer = theirs;
  });
  afterEach(() => peer.close());

  describe.each(Object.entries(views))('of %s', (_name, make) => {
    function filled(): NodeJS.ArrayBufferView {
      const view = make();
      bytesOf(view).write('hello...');
      return view;
    }

    testWithoutFaults('are sent by send, sendMany and sendAll', () => {
      expect(handler.send(filled())).toBe(8);
      expect(handler.socket.send(filled(), 1, 4)).toBe(4);
      expect(handler.socket.sendMany([filled(), Buffer.from('!')], 5)).toBe(4);
      handler.sendAll(filled());
      turnUntil(map(), () => handler.bufferedAmount === 0, 'the output');
      expect(receiveText(peer)).toBe('hello...ello...!hello...');
    });

    testWithoutFaults('are received into', () => {
      const view = make();
      insist(() => peer.send(Buffer.from('helloworld')));
      expect(handler.recvInto(view, 3)).toBe(5);
      expect(bytesOf(view).toString('latin1')).toBe('\0\0\0hello');
      expect((handler.socket as Socket).recvInto(view, 0, 5)).toBe(5);
      expect(bytesOf(view).toString('latin1')).toBe('worldllo');
    });
  });

  test('a socket option takes any view', () => {
    const value = inOtherRealm('new Int32Array([1])') as NodeJS.ArrayBufferView;
    handler.socket.setsockopt(constants.SOL_SOCKET, constants.SO_KEEPALIVE, value);
    const { socket } = handler;
    expect(socket.getsockopt(constants.SOL_SOCKET, constants.SO_KEEPALIVE)).toBe(1);
  });
});

describe('more than 2³¹ bytes', () => {
  // Memory that is not touched takes no room.
  const huge = new Uint8Array(2 ** 31 + 4096);
  let ours: Socket;
  let theirs: Socket;
  beforeEach(() => ([ours, theirs] = Socket.pair()));
  afterEach(() => {
    ours.close();
    theirs.close();
  });

  test.each([2 ** 31, 2 ** 32, 2 ** 32 + 1])('an offset or length of %d is a RangeError', (n) => {
    const use = [
      () => ours.send(huge, n, 1),
      () => ours.send(huge, 0, n),
      () => ours.recvInto(huge, n, 1),
      () => ours.recvInto(huge, 0, n),
      () => ours.sendMany([huge], n),
      () => ours.recv(n),
    ];
    for (const each of use) {
      expect(each).toThrow(/^(offset|length|n) must be an integer from 0 to /);
    }
  });

  test('are sent and received as far as one call goes', () => {
    expect(ours.send(huge)).toBeGreaterThan(0);
    expect(theirs.recvInto(huge)).toBeGreaterThan(0);
    expect(ours.sendMany([huge])).toBeGreaterThan(0);
  });
});
