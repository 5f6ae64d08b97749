/** The end of a stream comes after all bytes before it (rules 1 and 2). */
import { socketpair } from '../../lib';
import { onEveryMap } from '../support/maps';
import { Recorder } from '../support/recorder';
import { expectQuiet, turnUntil } from '../support/turns';

onEveryMap('end of stream', (map) => {
  test('rule 1: a bare end is no reason for handleRead', () => {
    const [ours, theirs] = socketpair();
    const handler = new Recorder(map(), ours);
    theirs.close();
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['close', 'cleanup']);
  });

  test('rule 2: a paused handler hears of the end after it has read', () => {
    const [ours, theirs] = socketpair();
    const handler = new Recorder(map(), ours);
    handler.setReadable(false);
    theirs.send(Buffer.from('last words'));
    theirs.close();
    map().poll(0.05);
    expectQuiet(map());
    expect(handler.events).toEqual([]);
    handler.setReadable(true);
    turnUntil(map(), () => handler.closed, 'the end');
    expect(handler.events).toEqual(['read last words', 'close', 'cleanup']);
  });
});
