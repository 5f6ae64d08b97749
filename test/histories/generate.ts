/** Makes random histories: fast-check's arbitraries, so that a failure shrinks to its shortest. */
import fc from 'fast-check';

import type { Cast, EventName, PlayerAct, Step } from './stage';

const cast: fc.Arbitrary<Cast> = fc.record({
  kind: fc.constantFrom('unix', 'tcp'),
  isBuffered: fc.boolean(),
  allowHalfOpen: fc.boolean(),
  hasRawPeer: fc.integer({ min: 0, max: 3 }).map((n) => n > 0),
});

const who = fc.nat(11);
const n = fc.constantFrom(1, 2, 5, 100, 3000, 10_000);

/** The frequency of each step on one handler. */
const shares: Record<Exclude<PlayerAct, 'rawReceive'>, number> = {
  rawSend: 14,
  send: 8,
  pause: 5,
  resume: 6,
  read: 4,
  readBytes: 4,
  wantWrite: 6,
  wantNoWrite: 2,
  remove: 3,
  add: 5,
  close: 2,
  end: 2,
  shut: 2,
  flood: 1,
  rawEnd: 3,
  rawClose: 3,
  rawReset: 2,
  rawUrgent: 4,
  knock: 6,
};

const ofOne: readonly fc.WeightedArbitrary<Step>[] = Object.entries(shares).map(
  ([act, weight]) => ({
    weight,
    arbitrary: fc.record({ act: fc.constant(act as PlayerAct), who, n }),
  }),
);

const ofAny: readonly fc.WeightedArbitrary<Step>[] = [
  { weight: 8, arbitrary: fc.record({ act: fc.constant('open' as const), cast }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant('listen' as const), cast }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('refused' as const), cast }) },
  { weight: 4, arbitrary: fc.record({ act: fc.constant('connect' as const), who, cast }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('replace' as const), who, cast }) },
];

const cancel = fc.record({ act: fc.constant('cancel' as const), who });
const closeMap = fc.constant<Step>({ act: 'closeMap' });

/** Steps that affect a handler later in the same batch (rules 6 and 7). */
const withdrawals = ['pause', 'wantNoWrite', 'remove', 'close'] satisfies PlayerAct[];

/** Steps that are possible in a callback, too. */
const action = fc.oneof(
  ...ofOne,
  {
    weight: 15,
    arbitrary: fc.record({ act: fc.constant('replace' as const), who, cast }),
  },
  {
    weight: 40,
    arbitrary: fc.record({ act: fc.constantFrom<PlayerAct[]>(...withdrawals), who, n }),
  },
  ...ofAny,
  { weight: 1, arbitrary: cancel },
  { weight: 1, arbitrary: closeMap },
);

const later = fc.record({ act: fc.constantFrom('timer' as const, 'call' as const), then: action });

const event = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<EventName[]>('read', 'write') },
  {
    weight: 6,
    arbitrary: fc.constantFrom<EventName[]>(
      'accept',
      'connect',
      'connectFailed',
      'except',
      'drain',
      'end',
      'close',
      'cleanup',
    ),
  },
);

const when = fc.record({
  act: fc.constant('when' as const),
  who,
  on: event,
  then: fc.oneof(
    { weight: 8, arbitrary: action },
    { weight: 1, arbitrary: later },
    { weight: 1, arbitrary: fc.constant<Step>({ act: 'raise' }) },
  ),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  ...ofOne,
  ...ofAny,
  { weight: 30, arbitrary: fc.constant<Step>({ act: 'turn' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ act: 'settle' }) },
  {
    weight: 5,
    arbitrary: fc.record({ act: fc.constant('rawReceive' as const), who, n }),
  },
  { weight: 20, arbitrary: when },
  { weight: 3, arbitrary: later },
  { weight: 1, arbitrary: cancel },
  { weight: 1, arbitrary: closeMap },
);

/** From about ten steps to a few hundred. */
export const anyHistory: fc.Arbitrary<readonly Step[]> = fc
  .tuple(
    fc.record({ act: fc.constant('open' as const), cast }),
    fc.oneof(
      { weight: 4, arbitrary: fc.array(step, { maxLength: 30, size: 'max' }) },
      { weight: 4, arbitrary: fc.array(step, { maxLength: 120, size: 'max' }) },
      { weight: 2, arbitrary: fc.array(step, { maxLength: 300, size: 'max' }) },
    ),
  )
  .map(([first, rest]) => [first, ...rest]);
