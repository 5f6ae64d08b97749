/**
 * Hostile values. Numbers that could be a descriptor are ones that the history itself has opened, or
 * far from any that is open, so that nothing of Node's is closed or written to.
 */
import fc from 'fast-check';

/** What the history has opened so far; some of it is closed again. */
export const owned: number[] = [];

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
const farNumber: fc.Arbitrary<unknown> = fc.oneof(
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
export class Made {
  constructor(readonly make: () => unknown) {}

  [fc.toStringMethod](): string {
    return this.make.toString();
  }
}

/** The arguments themselves, for one call. */
export function unwrap(args: readonly unknown[]): unknown[] {
  return args.map((arg) => (arg instanceof Made ? arg.make() : arg));
}

/** One of a list that is only known when the call is made. */
export function oneOf(list: readonly unknown[]): fc.Arbitrary<Made> {
  return fc.nat().map((n) => new Made(() => list[n % list.length]));
}

/** ES2024's, which the types do not know yet. */
interface Resizable extends ArrayBuffer {
  resize(length: number): void;
}
const ResizableBuffer = ArrayBuffer as unknown as new (
  length: number,
  options: { maxByteLength: number },
) => Resizable;

function resizable(length: number): Resizable {
  return new ResizableBuffer(length, { maxByteLength: 64 });
}

/** A view of a part of a buffer that was taken away afterwards. */
function outOfBounds(): Uint8Array {
  const buffer = resizable(16);
  const view = new Uint8Array(buffer, 8, 8);
  buffer.resize(4);
  return view;
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
    () => resizable(8),
    () => new Float64Array(resizable(16)),
    detached,
    outOfBounds,
  )
  .map((make) => new Made(make));

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array)),
  fc.constantFrom(0, 1, 300).map((length) => new Uint8Array(new SharedArrayBuffer(length))),
  fc.integer({ min: 0, max: 8 }).map((start) => new Uint8Array(new ArrayBuffer(16), start, 4)),
  fc.nat(64).map((length) => new Uint8Array(resizable(length))),
);

/** Descriptors that are open, far ones, and what stands for none. */
const descriptors = fc.oneof(
  { weight: 30, arbitrary: oneOf(owned) },
  fc.integer({ min: 5000, max: 1_000_000 }),
  fc.integer({ min: -9, max: -1 }),
);

const integers = fc
  .array(descriptors, { maxLength: 20 })
  .map((array) => new Made(() => Int32Array.from(unwrap(array) as number[])));

/** The same array again and again: what is written to one argument changes another. */
const sameIntegers = new Int32Array(4);

/** What a slab's recv and send find: a descriptor, an offset, a length, and room for the result. */
const transfer = fc
  .tuple(oneOf(owned), fc.integer({ min: -2, max: 100 }), fc.integer({ min: -2, max: 300 }))
  .map((fields) => new Made(() => Int32Array.from([...unwrap(fields), 0] as number[])));

/** Names that no server is asked about. */
const host = fc.constantFrom(
  '127.0.0.1',
  '::1',
  'localhost',
  '',
  '\0',
  'x'.repeat(100_000),
  '%',
  '[',
);

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('select', 'poll', 'epoll', '127.0.0.1', '::1', '\0', 'x'.repeat(100_000)),
);

const anything = fc.oneof(thing, bytes, integers, text);

/** What may stand at a place: often of the right kind, so that calls get far, and often not. */
export const PLACES = {
  /** A descriptor. */
  fd: fc.oneof({ weight: 12, arbitrary: oneOf(owned) }, farNumber, anything),
  number: fc.oneof({ weight: 12, arbitrary: anyNumber }, anything),
  /** What to watch for. */
  mask: fc.oneof({ weight: 12, arbitrary: fc.integer({ min: 1, max: 31 }) }, anyNumber, anything),
  /** How long to wait, in milliseconds. */
  time: fc.oneof({ weight: 12, arbitrary: shortTime }, anything),
  bytes: fc.oneof({ weight: 12, arbitrary: bytes }, farNumber, anything),
  integers: fc.oneof(
    { weight: 12, arbitrary: integers },
    { weight: 6, arbitrary: fc.constant(new Made(() => sameIntegers.fill(owned.at(-1) ?? -1))) },
    fc.constant(new Made(() => new Int32Array(64))),
    farNumber,
    anything,
  ),
  transfer: fc.oneof({ weight: 12, arbitrary: transfer }, farNumber, anything),
  text: fc.oneof({ weight: 12, arbitrary: text }, farNumber, anything),
  host: fc.oneof({ weight: 12, arbitrary: host }, farNumber, thing),
  list: fc.oneof({ weight: 12, arbitrary: fc.array(bytes) }, farNumber, anything),
  control: fc.oneof(
    fc.integer({ min: 0, max: 4 }).map((length) => new Float64Array(length).fill(Infinity)),
    farNumber,
    anything,
  ),
  /** Whether to ask the network for a name: never. */
  offline: fc.oneof(farNumber, thing).filter((value) => !unwrap([value]).includes(true)),
} as const satisfies Record<string, fc.Arbitrary<unknown>>;

/** Arguments for these places, to be unwrapped: as many as there are, too few, or too many. */
export function hostileArguments(
  places: readonly fc.Arbitrary<unknown>[],
): fc.Arbitrary<unknown[]> {
  const arity = fc.oneof({ weight: 8, arbitrary: fc.constant(99) }, fc.nat(9));
  return fc
    .tuple(fc.tuple(...places), fc.array(anything, { maxLength: 3 }), arity)
    .map(([args, more, count]) => [...args, ...more].slice(0, count));
}
