/** The same history on one descriptor gives the same callbacks on every map (rule 19). */
import fc from 'fast-check';

import { type Socket, socketpair } from '../../lib';
import { candidates } from '../../lib/maps';
import { live, type Step } from '../support/history';
import { tcpPair } from '../support/streams';

/** Histories as words: the steps of support/history.ts, separated by commas. */
const both: Readonly<Record<string, string>> = {
  'talk, then the end': 'says a, turn, answers, says bc, want write, turn, leaves, settle',
  'bytes and the end': 'says a, byte by byte, says bc, want write, leaves, settle',
  'paused through the end': 'pause, says bc, leaves, turn, turn, reads 1, turn, resume, settle',
  'paused, read by hand': 'pause, says bc, ends, turn, reads all, turn, settle',
  'paused all along': 'pause, turn, says a, turn, want write, turn, leaves, turn, settle',
  'half-open': 'half-open, says a, ends, turn, turn, answers, turn, want write, turn, turn',
  'half-open, then gone': 'half-open, ends, turn, pause, turn, leaves, answers, turn, settle',
  'half-open, ended by itself': 'half-open, ends, turn, turn, close itself, turn',
  'gone before it came': 'leaves, want write, answers, turn, settle',
  'closed in a callback': 'says a, want write, close when read, turn, turn, leaves, turn',
  'in and out of the map':
    'says a, leave map, turn, enter map, turn, leave map, leaves, turn, enter map, settle',
  'a send that fails, bytes unread':
    'says a, leaves, pause, answers, turn, answers, turn, resume, settle',
};

/** Of how much the kernel buffers, which is always the same for unix sockets alone. */
const unixOnly: Readonly<Record<string, string>> = {
  'half-close under output': 'floods, turn, says a, ends, turn, drains, turn, drains, turn, settle',
  'gone under output': 'floods, says a, turn, says bc, leaves, turn, settle',
  'all at once': 'says a, want write, answers, floods, ends, turn, drains, turn, settle',
};

const tcpOnly: Readonly<Record<string, string>> = {
  'a reset': 'says a, turn, resets, settle',
  'bytes and a reset': 'says bc, byte by byte, want write, resets, settle',
  'paused through a reset': 'pause, says a, turn, resets, turn, want write, turn, resume, settle',
  'urgent data': 'says !, turn, says a, turn, says !, turn, leaves, settle',
  'urgent data while paused': 'pause, says a, says !, turn, turn, resets, turn, resume, settle',
};

const kinds = [
  ['unix', socketpair, { ...both, ...unixOnly }],
  ['tcp', tcpPair, { ...both, ...tcpOnly }],
] as const;

const maps = candidates.filter((candidate) => candidate.available);

function expectOneTrace(pair: () => [Socket, Socket], history: readonly Step[]): void {
  const [first, ...others] = maps.map((mapClass) => live(new mapClass(), pair, history));
  for (const other of others) expect(other).toEqual(first);
  expectOneLife(first!);
}

/** Rule 3: one end at most, one cleanup, and nothing after it. */
function expectOneLife(trace: readonly string[]): void {
  const told = trace.filter((event) => !/^(- |has )/.test(event));
  expect(told.filter((event) => event.startsWith('close')).length).toBeLessThanOrEqual(1);
  expect(told.filter((event) => event.startsWith('error'))).toEqual([]);
  expect(told.indexOf('cleanup')).toBe(told.length - 1);
}

const anyStep = fc.constantFrom<Step[]>(
  ...(['says a', 'says bc', 'ends', 'leaves', 'turn', 'turn', 'turn', 'pause', 'resume'] as const),
  ...(['want write', 'want no write', 'answers', 'reads 1', 'reads all', 'byte by byte'] as const),
  ...(['half-open', 'close when read', 'leave map', 'enter map'] as const),
);

describe.each(kinds)('%s', (kind, pair, histories) => {
  test.each(Object.entries(histories))(
    'rule 19: the same trace on every map: %s',
    (_name, history) => expectOneTrace(pair, history.split(', ') as Step[]),
  );

  test('rules 3, 19: the same trace on every map, whatever the history', () => {
    const last = fc.constantFrom<Step[]>(
      ...(kind === 'tcp' ? (['resets'] as const) : []),
      'leaves',
      'ends',
    );
    const history = fc
      .tuple(fc.array(anyStep, { minLength: 2, maxLength: 12 }), last)
      .map(([some, end]): Step[] => [
        ...some,
        'turn',
        end,
        'turn',
        'turn',
        'resume',
        'turn',
        'turn',
      ]);
    fc.assert(
      fc.property(history, (steps) => expectOneTrace(pair, steps)),
      // A seed, so that a failure is everybody's.
      { seed: 19, numRuns: 100 },
    );
  });
});
