/** `readable` and `writable` say what may still come (rules 3 and 14). */
import { constants } from '../../lib';
import { Acting } from '../support/acting';
import { onEveryMap } from '../support/maps';
import { deadAddress, reset, type socketpair, tcpPair } from '../support/streams';
import { turnUntil } from '../support/turns';

class HalfOpen extends Acting {
  override allowHalfOpen = true;
}

function sidesOf({ readable, writable }: Acting): string {
  return [...(readable ? ['reads'] : []), ...(writable ? ['writes'] : [])].join(' and ');
}

onEveryMap('readable and writable', (map) => {
  let handler: HalfOpen;
  let peer: ReturnType<typeof socketpair>[1];
  beforeEach(() => {
    const [ours, theirs] = tcpPair();
    peer = theirs;
    handler = new HalfOpen(map(), ours);
    // What it wants is not taken back by sending.
    handler.handleWrite = (): void => {};
    handler.setWritable(true);
    expect(sidesOf(handler)).toBe('reads and writes');
  });
  afterEach(() => peer.close());

  test('rule 3: are false when the handler is closed', () => {
    handler.on.cleanup = () => expect(sidesOf(handler)).toBe('');
    handler.close();
    expect(sidesOf(handler)).toBe('');
    expect(handler.events).toEqual(['cleanup']);
  });

  test('rule 3: are false in handleClose and from then on', () => {
    let seen = 'nothing';
    handler.on.close = () => void (seen = sidesOf(handler));
    reset(peer);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(seen).toBe('');
    expect(sidesOf(handler)).toBe('');
  });

  test('rule 14: readable is false in handleEnd, when the peer has ended its side', () => {
    let seen = 'nothing';
    handler.on.end = () => void (seen = sidesOf(handler));
    peer.shutdown(constants.SHUT_WR);
    turnUntil(map(), () => handler.count('end') > 0, 'the end');
    expect(seen).toBe('writes');
    expect(sidesOf(handler)).toBe('writes');
  });

  test('rule 14: each is false after its own side was shut down', () => {
    handler.shutdown(constants.SHUT_WR);
    expect(sidesOf(handler)).toBe('reads');
    handler.shutdown(constants.SHUT_RD);
    expect(sidesOf(handler)).toBe('');
  });

  test('rule 14: are false after end()', () => {
    handler.end();
    expect(sidesOf(handler)).toBe('');
  });

  test('rule 8: are false when the attempt to connect has failed', () => {
    const client = new Acting(map());
    let seen = 'nothing';
    client.on.connectFailed = () => void (seen = sidesOf(client));
    client.connect(deadAddress());
    expect(client.readable).toBe(true);
    turnUntil(map(), () => client.closed, 'the refusal');
    expect(seen).toBe('');
  });
});
