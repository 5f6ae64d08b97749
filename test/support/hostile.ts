/**
 * Hostile values for native functions. Numbers that could be a descriptor are far from any that is
 * open here, so that nothing of the test's own process is closed or written to.
 */
import fc from 'fast-check';

/** Numbers that conversions to integers get wrong. */
const ODD_NUMBERS = [
  NaN,
  Infinity,
  -Infinity,
  1.5,
  -0.5,
  2 ** 31,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 32 + 6000,
  2 ** 53,
  Number.MAX_VALUE,
  Number.MIN_VALUE,
];

/** Never an open descriptor. */
export const farNumber: fc.Arbitrary<unknown> = fc.oneof(
  fc.integer({ min: 5000, max: 1_000_000 }),
  fc.integer({ min: -1_000_000, max: -1 }),
  fc.constantFrom(...ODD_NUMBERS),
);

/** For what is no descriptor. */
const anyNumber = fc.oneof(farNumber, fc.integer({ min: -1, max: 300 }), fc.constant(-0));

/** Ends a wait soon. */
const shortTime = fc.constantFrom(NaN, 0, -0, 0.3, 1);

function detached(): Uint8Array {
  const bytes = new Uint8Array(8);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  return bytes;
}

const refuse = (): never => {
  throw new Error('a hostile value was asked');
};

/** A value that is made for the call alone: fast-check would ask it things, or see it changed. */
class Made {
  constructor(readonly make: () => unknown) {}

  [fc.toStringMethod](): string {
    return this.make.toString();
  }
}

/** The arguments themselves, for one call. */
export function unwrap(args: readonly unknown[]): unknown[] {
  return args.map((arg) => (arg instanceof Made ? arg.make() : arg));
}

/** Every kind of thing that is no number. */
const thing: fc.Arbitrary<unknown> = fc
  .constantFrom<() => unknown>(
    () => undefined,
    () => null,
    () => true,
    () => false,
    () => '',
    () => '5',
    () => Symbol('hostile'),
    () => 10n,
    () => ({}),
    () => Object.create(null),
    () => [],
    () => [[]],
    () => new Array<unknown>(5),
    () => () => undefined,
    () => Map,
    () => new Date(NaN),
    () => /x/,
    () => new Map(),
    () => Promise.resolve(),
    () => new Proxy([], { get: refuse, has: refuse, getPrototypeOf: refuse }),
    () => ({ valueOf: refuse, toString: refuse, [Symbol.toPrimitive]: refuse }),
    () => Object.defineProperty([Buffer.from('a'), 0], 1, { get: refuse }),
    () => [Buffer.from('part'), undefined],
    () => [new Uint8Array(3), Buffer.alloc(70_000)],
    () => Array<Buffer>(100).fill(Buffer.from('x')),
    () => new ArrayBuffer(8),
    () => new SharedArrayBuffer(8),
    () => new DataView(new ArrayBuffer(8)),
    () => new Float64Array(4),
    () => new Uint16Array(4),
    () => new Uint8ClampedArray(4),
    () => new BigInt64Array(2),
    () => Object.create(Uint8Array.prototype) as unknown,
    detached,
  )
  .map((make) => new Made(make));

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array)),
  fc.constantFrom(0, 1, 300).map((length) => new Uint8Array(new SharedArrayBuffer(length))),
  fc.integer({ min: 0, max: 8 }).map((start) => new Uint8Array(new ArrayBuffer(16), start, 4)),
);

const integers = fc
  .array(fc.oneof(fc.integer({ min: 5000, max: 1_000_000 }), fc.integer({ min: -9, max: -1 })), {
    maxLength: 20,
  })
  .map((array) => Int32Array.from(array));

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('select', 'poll', 'epoll', '127.0.0.1', '::1', '\0', 'x'.repeat(100_000)),
);

const anything = fc.oneof(thing, bytes, integers, text);

/** What may stand at a place: often of the right kind, so that calls get far, and often not. */
export const PLACES = {
  /** A descriptor. */
  fd: fc.oneof({ weight: 4, arbitrary: farNumber }, anything),
  number: fc.oneof({ weight: 4, arbitrary: anyNumber }, anything),
  /** How long to wait, in milliseconds. */
  time: fc.oneof({ weight: 4, arbitrary: shortTime }, anything),
  bytes: fc.oneof({ weight: 4, arbitrary: bytes }, farNumber, anything),
  integers: fc.oneof({ weight: 4, arbitrary: integers }, farNumber, anything),
  text: fc.oneof({ weight: 4, arbitrary: text }, farNumber, anything),
  list: fc.oneof({ weight: 4, arbitrary: fc.array(bytes) }, farNumber, anything),
  call: fc.oneof(
    fc.constant(() => undefined),
    farNumber,
    anything,
  ),
  control: fc.oneof(
    fc.integer({ min: 0, max: 4 }).map((length) => new Float64Array(length).fill(Infinity)),
    farNumber,
    anything,
  ),
  /** Whether to ask the network for a name: never. */
  offline: fc.oneof(farNumber, thing).filter((value) => !unwrap([value]).includes(true)),
} as const satisfies Record<string, fc.Arbitrary<unknown>>;

export type Place = keyof typeof PLACES;

/** Arguments for these places, to be unwrapped: as many as there are, too few, or too many. */
export function hostileArguments(places: readonly Place[]): fc.Arbitrary<unknown[]> {
  const arity = fc.oneof({ weight: 3, arbitrary: fc.constant(99) }, fc.nat(9));
  return fc
    .tuple(fc.tuple(...places.map((place) => PLACES[place])), fc.array(anything), arity)
    .map(([args, more, count]) => [...args, ...more].slice(0, count));
}
