/** Every native function, called with random arguments in random order. */
import os from 'node:os';
import { types } from 'node:util';

import fc from 'fast-check';

import { binding, type SlabCalls } from '../../lib/system/binding';
import type { LoopBackend, SignalSource } from '../../lib/system/kernel';
import { anyCall, type Callable, type Face, valueOf } from './steps';
import { Made, oneOf, owned, PLACES } from './values';

type Place = keyof typeof PLACES;

/** Every function of the addon, with the kinds of its arguments. */
export const FUNCTIONS: Readonly<Record<string, readonly Place[]>> = {
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
  makeSlab: ['transfer'],
  recvWhole: ['fd', 'bytes'],
  sendWhole: ['fd', 'bytes'],
  recv: ['fd', 'bytes', 'number', 'number', 'number'],
  send: ['fd', 'bytes', 'number', 'number', 'number'],
  sendMany: ['fd', 'list', 'number'],
  unread: ['fd'],
  fileType: ['fd'],
  streamRead: ['fd', 'bytes', 'number', 'number'],
  streamWrite: ['fd', 'bytes', 'number', 'number'],
  streamUnread: ['fd'],
  streamUntaken: ['fd'],
  unacknowledged: ['fd'],
  packInet: ['host', 'number', 'offline'],
  packUnix: ['bytes'],
  unpackAddress: ['bytes'],
  resolve: ['host', 'fd'],
  resolved: ['number'],
  dropLookup: ['number'],
  createWakeup: [],
  duplicate: ['fd'],
  wake: ['fd'],
  drainWakeup: ['fd'],
  createInterrupt: ['fd'],
  createSignals: [],
  drainInterrupt: ['fd'],
};

/** The functions of a backend. */
export const METHODS: Readonly<Record<string, readonly (Place | 'call')[]>> = {
  add: ['fd', 'mask'],
  modify: ['fd', 'mask'],
  remove: ['fd'],
  wait: ['time', 'integers'],
  close: [],
  joinLoop: ['integers', 'control', 'call', 'call'],
  leaveLoop: [],
};

/** The functions of a slab. */
export const SLAB_CALLS: Readonly<Record<string, readonly Place[]>> = {
  use: ['bytes'],
  recv: [],
  send: [],
};

const { constants } = binding;
const FAMILIES = [constants['AF_UNIX'], constants['AF_INET'], constants['AF_INET6']];
const TYPES = [constants['SOCK_STREAM'], constants['SOCK_DGRAM'], constants['SOCK_SEQPACKET']];
const MOST_DESCRIPTORS = 100;
const MOST_BACKENDS = 12;
const MOST_SLABS = 4;

/** Records a descriptor, and closes one of the oldest when there are many. */
function own(fd: number): void {
  owned.push(fd);
  if (owned.length > MOST_DESCRIPTORS) binding.close(owned.shift() ?? -1);
}

/** Calls that would block the process, or leave this machine. */
function isLeftOut(name: string, args: readonly unknown[]): boolean {
  // socket(7): SO_LINGER lets close(2) wait, even on a non-blocking socket.
  if (name === 'setsockopt') return args[2] === constants['SO_LINGER'];
  // Not instanceof: it accepts any object with the prototype.
  if (name !== 'connect' || !types.isUint8Array(args[1])) return false;
  // Not to other hosts and services.
  const family = args[1][0];
  return family !== constants['AF_UNIX'] && args[1].length >= 16;
}

/** It has five descriptors, so it is closed at once. */
function tryOut(source: SignalSource | number): void {
  if (typeof source === 'number') return;
  const numbers: unknown[] = [os.constants.signals.SIGUSR2, 9, 0, -1, 65, 1.5, 2 ** 40, '', null];
  for (const each of numbers) {
    valueOf(() => source.watch(each as number));
    valueOf(() => source.take(each as Int32Array));
    source.take(new Int32Array(1));
    valueOf(() => {
      source.unwatch(each as number);
    });
  }
  source.close();
  source.watch(os.constants.signals.SIGUSR2);
  source.close();
}

/** `next` takes the next step, within a callback of this one. */
export function nativeFace(next: () => void): Face {
  const backends: LoopBackend[] = [];
  const slabs: SlabCalls[] = [];
  const lookups: number[] = [];

  const keep = (name: string, args: readonly unknown[], result: unknown): void => {
    if (name === 'createBackend' && typeof result === 'object' && result !== null) {
      backends.push(result as LoopBackend);
      if (backends.length > MOST_BACKENDS) endOf(backends.shift());
    }
    if (name === 'makeSlab' && typeof result === 'object') {
      slabs.push(result as SlabCalls);
      // An unreferenced slab is freed by garbage collection.
      if (slabs.length > MOST_SLABS) slabs.shift();
    }
    if (name === 'socketpair' && result === 0) (args[2] as Int32Array).subarray(0, 2).forEach(own);
    if (name === 'createSignals') tryOut(result as SignalSource | number);
    if (typeof result !== 'number' || result < 0) return;
    if (name === 'resolve') lookups.push(result);
    if (name === 'socket') {
      // With root's rights, sockets can be opened that reach other processes.
      const [family, type] = args as number[];
      const isHarmless = FAMILIES.includes(family) && TYPES.includes((type ?? 0) & 0xf);
      if (isHarmless) own(result);
      else binding.close(result);
    }
    if (['epollCreate', 'createWakeup', 'createInterrupt', 'duplicate', 'accept'].includes(name)) {
      own(result);
    }
  };

  const functions = anyCall(
    Object.fromEntries(
      Object.entries(FUNCTIONS).map(([name, places]) => [
        name,
        places.map((place) => PLACES[place]),
      ]),
    ),
    (name, args) => {
      if (isLeftOut(name, args)) return;
      const call = binding[name as keyof typeof binding] as unknown as Callable;
      keep(
        name,
        args,
        valueOf(() => call(...args)),
      );
    },
  );

  // A callback takes further steps, in the middle of a batch.
  const call = fc.oneof(
    { weight: 4, arbitrary: fc.constant(new Made(() => next)) },
    PLACES.number,
    PLACES.text,
  );
  const methods = fc
    .tuple(oneOf(backends), fc.constantFrom(...Object.keys(METHODS)))
    .chain(([backend, method]) =>
      anyCall(
        { [method]: (METHODS[method] ?? []).map((p) => (p === 'call' ? call : PLACES[p])) },
        (name, args) => {
          const target = backend.make() as Record<string, Callable> | undefined;
          if (target !== undefined) valueOf(() => target[name]?.(...args));
        },
      ),
    );
  const slabCalls = fc
    .tuple(oneOf(slabs), fc.constantFrom(...Object.keys(SLAB_CALLS)))
    .chain(([slab, method]) =>
      anyCall({ [method]: (SLAB_CALLS[method] ?? []).map((p) => PLACES[p]) }, (name, args) => {
        const target = slab.make() as Record<string, Callable> | undefined;
        if (target !== undefined) valueOf(() => target[name]?.(...args));
      }),
    );
  const fetches = fc
    .tuple(oneOf(lookups), fc.constantFrom('resolved', 'dropLookup'))
    .map(([lookup, name]) => ({
      title: () => `${name} of a look-up`,
      run: () => valueOf(() => binding[name as 'resolved'](lookup.make() as number)),
    }));
  // Valid calls, so that there are objects for the random ones.
  const sensible = fc
    .constantFrom<readonly [string, ...unknown[]]>(
      ['socketpair', constants['AF_UNIX'], constants['SOCK_STREAM'], new Int32Array(2)],
      ['socketpair', constants['AF_UNIX'], constants['SOCK_DGRAM'], new Int32Array(2)],
      ['socket', constants['AF_INET'], constants['SOCK_STREAM'], 0],
      ['socket', constants['AF_INET6'], constants['SOCK_DGRAM'], 0],
      ['createBackend', 'select'],
      ['createBackend', 'poll'],
      ['createBackend', 'epoll'],
    )
    .map(([name, ...args]) => ({
      title: () => `${name}(${fc.stringify(args)})`,
      run: () => {
        const make = binding[name as keyof typeof binding] as unknown as Callable;
        keep(name, args, make(...args));
      },
    }));
  return {
    steps: fc.oneof(
      { weight: 6, arbitrary: functions },
      { weight: 6, arbitrary: methods },
      { weight: 1, arbitrary: slabCalls },
      { weight: 1, arbitrary: fetches },
      { weight: 1, arbitrary: sensible },
    ),
    end: () => backends.forEach(endOf),
  };
}

function endOf(backend: LoopBackend | undefined): void {
  backend?.leaveLoop();
  backend?.close();
}
