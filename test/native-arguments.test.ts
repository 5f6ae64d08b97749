/** Arbitrary values thrown at every native function: nothing but errors and results comes back. */
import os from 'node:os';
import util from 'node:util';

import fc from 'fast-check';

import { socketpair } from '../lib';
import { binding, Transfer } from '../lib/binding';
import type { LoopBackend } from '../lib/kernel';
import { slab } from '../lib/sockets/slab';
import { NOT_OPEN } from './support/descriptors';
import { hostileArguments, type Place, unwrap } from './support/hostile';

const { EBADF, ENOENT, EEXIST, EINVAL } = os.constants.errno;

/** Every function of the addon, and what stands where. */
const FUNCTIONS: Readonly<Record<string, readonly Place[]>> = {
  monotonicMs: [],
  select: ['integers', 'integers', 'integers', 'time'],
  poll: ['integers', 'time'],
  epollCreate: [],
  epollControl: ['fd', 'number', 'fd', 'number'],
  epollWait: ['fd', 'integers', 'time'],
  createBackend: ['text'],
  socket: ['number', 'number', 'number'],
  socketpair: ['number', 'number', 'integers'],
  adopt: ['fd'],
  disown: ['fd'],
  close: ['fd'],
  bind: ['fd', 'bytes'],
  connect: ['fd', 'bytes'],
  listen: ['fd', 'number'],
  accept: ['fd', 'integers'],
  acceptedAddress: [],
  shutdown: ['fd', 'number'],
  getsockname: ['fd'],
  getpeername: ['fd'],
  getsockopt: ['fd', 'number', 'number', 'bytes'],
  setsockopt: ['fd', 'number', 'number', 'bytes'],
  useSlab: ['bytes', 'integers'],
  recvSlab: [],
  sendSlab: [],
  recvWhole: ['fd', 'bytes'],
  sendWhole: ['fd', 'bytes'],
  recv: ['fd', 'bytes', 'number', 'number', 'number'],
  send: ['fd', 'bytes', 'number', 'number', 'number'],
  sendMany: ['fd', 'list', 'number'],
  unread: ['fd'],
  packInet: ['text', 'number', 'offline'],
  packUnix: ['bytes'],
  unpackAddress: ['bytes'],
  resolve: ['text', 'fd'],
  createWakeup: [],
  duplicate: ['fd'],
  wake: ['fd'],
  drainWakeup: ['fd'],
  createInterrupt: [],
  drainInterrupt: ['fd'],
};

/** The functions of a backend. */
const METHODS = {
  add: ['fd', 'number'],
  modify: ['fd', 'number'],
  remove: ['fd'],
  wait: ['time', 'integers'],
  close: [],
  joinLoop: ['integers', 'control', 'call', 'call'],
  leaveLoop: [],
} as const satisfies Record<string, readonly Place[]>;

const BACKENDS = ['select', 'poll', 'epoll'] as const;

type Callable = (...args: unknown[]) => unknown;

/** Calls it; what it throws has to be an error, what it returns something plain. */
function callWith(fn: unknown, args: readonly unknown[]): unknown {
  try {
    const result = (fn as Callable)(...args);
    expect(['number', 'undefined', 'object', 'function']).toContain(typeof result);
    return result;
  } catch (error) {
    expect(util.types.isNativeError(error)).toBe(true);
    return error;
  }
}

function make(name: string): LoopBackend {
  const backend = binding.createBackend(name);
  if (typeof backend === 'number') throw new Error(`${name}: ${backend}`);
  return backend;
}

/** Gives back what a call may have opened. */
function letGo(name: string, args: readonly unknown[], result: unknown): void {
  const opens = ['socket', 'epollCreate', 'createWakeup', 'createInterrupt', 'duplicate'];
  if (opens.includes(name) && typeof result === 'number' && result >= 0) binding.close(result);
  if (name === 'socketpair' && result === 0) {
    for (const fd of (args[2] as Int32Array).subarray(0, 2)) binding.close(fd);
  }
  if (name === 'createBackend' && typeof result === 'object') {
    (result as Partial<LoopBackend>).close?.();
  }
}

afterAll(() => {
  // Whoever reads next is to find the slab that it knows.
  slab.offset = slab.bytes.length;
});

test('the tables above name every native function', () => {
  const functions = Object.entries(binding).filter(([, value]) => typeof value === 'function');
  expect(functions.map(([name]) => name).sort()).toEqual(Object.keys(FUNCTIONS).sort());
  const backend = make('poll');
  const methods = Object.entries(backend).filter(([, value]) => typeof value === 'function');
  expect(methods.map(([name]) => name).sort()).toEqual(Object.keys(METHODS).sort());
  backend.close();
});

test.each(Object.entries(FUNCTIONS))('%s survives arbitrary arguments', (name, places) => {
  fc.assert(
    fc.property(hostileArguments(places), (wrapped) => {
      const args = unwrap(wrapped);
      letGo(name, args, callWith(binding[name as keyof typeof binding], args));
    }),
    { numRuns: 300 },
  );
});

test('a number that is no 32-bit integer is refused, not converted to another', () => {
  const good: Partial<Record<Place, unknown>> = {
    number: 1,
    time: 0,
    bytes: Buffer.alloc(8),
    integers: Int32Array.of(NOT_OPEN, 1),
    text: 'localhost',
    list: [Buffer.alloc(1)],
  };
  const converted: string[] = [];
  for (const [name, places] of Object.entries(FUNCTIONS)) {
    for (const [i, place] of places.entries()) {
      if (place !== 'fd' && (place !== 'number' || name === 'packInet')) continue;
      for (const odd of [2 ** 32 + 6000, 2 ** 31, -(2 ** 31) - 1, 6000.5]) {
        const args = places.map((each) => (each === 'fd' ? NOT_OPEN : good[each]));
        args[i] = odd;
        const result = callWith(binding[name as keyof typeof binding], args);
        if (!(util.types.isNativeError(result) && result.name === 'TypeError')) {
          converted.push(`${name}, argument ${i}, ${odd}: ${String(result)}`);
        }
      }
    }
  }
  expect(converted).toEqual([]);
});

describe.each(BACKENDS)('a %s backend', (name) => {
  test('survives arbitrary calls, in any order, closed or not', () => {
    const call = fc
      .constantFrom(...(Object.keys(METHODS) as (keyof typeof METHODS)[]))
      .chain((method) => fc.tuple(fc.constant(method), hostileArguments(METHODS[method])));
    fc.assert(
      fc.property(fc.array(call, { maxLength: 12 }), (calls) => {
        const backend = make(name);
        for (const [method, args] of calls) callWith(backend[method], unwrap(args));
        backend.leaveLoop();
        backend.close();
      }),
      { numRuns: 300 },
    );
  });

  test('refuses a descriptor that is not open', () => {
    const backend = make(name);
    for (const fd of [-1, -(2 ** 31), NOT_OPEN, 2 ** 31 - 1]) {
      expect(backend.add(fd, 1)).toBe(-EBADF);
      expect(backend.modify(fd, 1)).toBe(-ENOENT);
      expect(backend.remove(fd)).toBe(-ENOENT);
    }
    expect(backend.wait(0, new Int32Array(2))).toBe(0);
    backend.close();
  });

  test('refuses a second registration and a mask of nothing', () => {
    const [near, far] = socketpair();
    const backend = make(name);
    expect(backend.add(near.fileno(), 0)).toBe(-EINVAL);
    expect(backend.add(near.fileno(), 1)).toBe(0);
    expect(backend.add(near.fileno(), 1)).toBe(-EEXIST);
    expect(backend.remove(near.fileno())).toBe(0);
    expect(backend.remove(near.fileno())).toBe(-ENOENT);
    backend.close();
    near.close();
    far.close();
  });

  test('is EBADF once closed', () => {
    const backend = make(name);
    backend.close();
    backend.close();
    expect(backend.add(0, 1)).toBe(-EBADF);
    expect(backend.remove(0)).toBe(-EBADF);
    expect(backend.wait(0, new Int32Array(2))).toBe(-EBADF);
  });
});

test('a backend that the addon does not know is EINVAL', () => {
  for (const name of ['', 'kqueue', 'epoll\0', 'EPOLL', 'epoll'.repeat(1000)]) {
    expect(binding.createBackend(name)).toBe(-EINVAL);
  }
});

describe('on a descriptor that is open', () => {
  /** Transfers touch the descriptor's own bytes and no others. */
  const transfers = {
    recv: ['bytes', 'number', 'number', 'number'],
    send: ['bytes', 'number', 'number', 'number'],
    recvWhole: ['bytes'],
    sendWhole: ['bytes'],
    sendMany: ['list', 'number'],
    getsockopt: ['number', 'number', 'bytes'],
    setsockopt: ['number', 'number', 'bytes'],
    connect: ['bytes'],
    listen: ['number'],
    shutdown: ['number'],
  } as const satisfies Record<string, readonly Place[]>;

  test.each(Object.entries(transfers))('%s survives arbitrary arguments', (name, places) => {
    fc.assert(
      fc.property(hostileArguments(places), (args) => {
        const [near, far] = socketpair();
        far.send(Buffer.alloc(1000, 'x'));
        callWith(binding[name as keyof typeof transfers], [near.fileno(), ...unwrap(args)]);
        near.close();
        far.close();
      }),
      { numRuns: 300 },
    );
  });

  test('recvSlab and sendSlab stay within the slab, whatever integers they find', () => {
    const memory = Buffer.alloc(96, '.');
    const transfer = new Int32Array(Transfer.fields);
    binding.useSlab(memory.subarray(32, 64), transfer);
    const place = fc.oneof(fc.integer({ min: -2, max: 40 }), fc.integer());
    fc.assert(
      fc.property(place, place, (offset, length) => {
        const [near, far] = socketpair();
        far.send(Buffer.alloc(64, 'x'));
        memory.fill('.');
        transfer.set([near.fileno(), offset, length]);
        binding.recvSlab();
        const fits = offset >= 0 && length >= 0 && offset + length <= 32;
        const outcome = fits ? length : -os.constants.errno.EFAULT;
        expect(transfer[Transfer.result]).toBe(outcome);
        const expected = Buffer.alloc(96, '.');
        if (fits) expected.fill('x', 32 + offset, 32 + offset + length);
        expect(memory.equals(expected)).toBe(true);
        binding.sendSlab();
        expect(transfer[Transfer.result]).toBe(outcome);
        near.close();
        far.close();
      }),
      { numRuns: 300 },
    );
  });

  test('what is received stays within the offset and length that were asked for', () => {
    const place = fc.integer({ min: -2, max: 40 });
    fc.assert(
      fc.property(place, place, (offset, length) => {
        const [near, far] = socketpair();
        far.send(Buffer.alloc(64, 'x'));
        const whole = Buffer.alloc(96, '.');
        const middle = whole.subarray(32, 64);
        const count = binding.recv(near.fileno(), middle, offset, length, 0);
        near.close();
        far.close();
        const fits = offset >= 0 && length >= 0 && offset + length <= 32;
        expect(count).toBe(fits ? length : -os.constants.errno.EFAULT);
        const expected = Buffer.alloc(96, '.');
        if (fits) expected.fill('x', 32 + offset, 32 + offset + length);
        expect(whole.equals(expected)).toBe(true);
      }),
    );
  });
});
