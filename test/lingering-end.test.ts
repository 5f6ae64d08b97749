/** An ended connection does not wait for ever for a peer that never ends its side. */
import { socketpair } from '../lib';
import { candidates } from '../lib/maps';
import { Recorder } from './support/recorder';
import { receiveText } from './support/streams';
import { turnUntil } from './support/turns';

test('rule 3: after end(), a peer that neither ends nor stops sending is left', () => {
  // All maps at once: the wait is one of seconds.
  const ends = candidates
    .filter((candidate) => candidate.available)
    .map((candidate) => {
      const map = new candidate();
      const [ours, theirs] = socketpair();
      const handler = new Recorder(map, ours);
      handler.end('bye');
      return { map, theirs, handler };
    });
  for (const { map, theirs, handler } of ends) {
    const sendsOn = () => {
      if (!handler.closed) theirs.send(Buffer.from('and another thing'));
      return handler.closed;
    };
    turnUntil(map, sendsOn, 'the handler to give up');
    expect(receiveText(theirs)).toBe('bye');
    expect(handler.events).toEqual(['cleanup']);
    theirs.close();
    map.close();
  }
});
