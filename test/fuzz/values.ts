/**
 * Hostile values. Numbers that could be a descriptor are those that the run itself has opened, or
 * far above any open one, so that no descriptor of Node's is closed or written to.
 */
import fc from 'fast-check';

/** The descriptors opened so far; some are closed again. */
export const owned: number[] = [];

/** Numbers on which conversions to integers fail. */
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

/** Numbers that are no descriptor. */
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

/** A value made for one call: fast-check would inspect it, or see it changed. */
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

/** An element of a list that is known only at the time of the call. */
export function oneOf(list: readonly unknown[]): fc.Arbitrary<Made> {
  return fc.nat().map((n) => new Made(() => list[n % list.length]));
}

/** ES2024, missing in the types. */
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

/** A view of a buffer that was shrunk afterwards. */
function outOfBounds(): Uint8Array {
  const buffer = resizable(16);
  const view = new Uint8Array(buffer, 8, 8);
  buffer.resize(4);
  return view;
}

/** Values of every type but number. */
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

/** Open descriptors, far ones, and numbers for none. */
const descriptors = fc.oneof(
  { weight: 30, arbitrary: oneOf(owned) },
  fc.integer({ min: 5000, max: 1_000_000 }),
  fc.integer({ min: -9, max: -1 }),
);

const integers = fc
  .array(descriptors, { maxLength: 20 })
  .map((array) => new Made(() => Int32Array.from(unwrap(array) as number[])));

/** The same array several times: writing to one argument changes another. */
const sameIntegers = new Int32Array(4);

/** The integers of a slab's recv and send: descriptor, offset, length, and the result. */
const transfer = fc
  .tuple(oneOf(owned), fc.integer({ min: -2, max: 100 }), fc.integer({ min: -2, max: 300 }))
  .map((fields) => new Made(() => Int32Array.from([...unwrap(fields), 0] as number[])));

/** Names that need no name server. */
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

/** Arguments by kind: often valid, so that calls get far, and often not. */
export const PLACES = {
  /** A descriptor. */
  fd: fc.oneof({ weight: 12, arbitrary: oneOf(owned) }, farNumber, anything),
  number: fc.oneof({ weight: 12, arbitrary: anyNumber }, anything),
  /** An event mask. */
  mask: fc.oneof({ weight: 12, arbitrary: fc.integer({ min: 1, max: 31 }) }, anyNumber, anything),
  /** A time-out, in milliseconds. */
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
  /** Whether to ask a name server: never. */
  offline: fc.oneof(farNumber, thing).filter((value) => !unwrap([value]).includes(true)),
} as const satisfies Record<string, fc.Arbitrary<unknown>>;

/** Arguments of these kinds, still wrapped: the right number, too few, or too many. */
export function hostileArguments(
  places: readonly fc.Arbitrary<unknown>[],
): fc.Arbitrary<unknown[]> {
  const arity = fc.oneof({ weight: 8, arbitrary: fc.constant(99) }, fc.nat(9));
  return fc
    .tuple(fc.tuple(...places), fc.array(anything, { maxLength: 3 }), arity)
    .map(([args, more, count]) => [...args, ...more].slice(0, count));
}
