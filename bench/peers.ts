/** Who is measured: our maps, and those that they are compared with. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

import type { NativePrograms } from './native';
import { packageVersion, program } from './package';

export interface Peer {
  readonly name: string;
  readonly about: string;
  /** What starts its echo server, or why there is none. */
  readonly command: readonly string[] | { readonly missing: string };
  readonly version: string;
  /** It cuts what it receives into lines, and is sent lines. */
  readonly speaksLines: boolean;
  /** C servers: ended by a signal, and have no garbage to collect. */
  readonly isNative: boolean;
}

/** A peer whose server can be started. */
export interface ServingPeer extends Peer {
  readonly command: readonly string[];
}

/** The Node that the programs run on. */
export interface NodeRuntime {
  readonly path: string;
  readonly version: string;
}

export const ownNode: NodeRuntime = { path: process.execPath, version: process.version };

export function listPeers(native: NativePrograms, runtime: NodeRuntime): Peer[] {
  const collecting = [runtime.path, '--expose-gc'];
  const ours = (name: string, about: string, ...args: string[]): Peer => ({
    name: `asynchia-${name}`,
    about,
    command: [...collecting, program('asynchia-echo'), ...args],
    version: packageVersion,
    speaksLines: args.includes('lines'),
    isNative: false,
  });
  const addon = (name: string, about: string, ...args: string[]): Peer => ({
    name,
    about,
    command: [...collecting, program('addon-echo'), ...args],
    version: packageVersion,
    speaksLines: false,
    isNative: false,
  });
  const node = (name: string, about: string, ...args: string[]): Peer => ({
    name,
    about,
    command: [...collecting, program('node-net-echo'), ...args],
    version: runtime.version,
    speaksLines: args.length > 0,
    isNative: false,
  });
  const inC = (name: string, about: string, file: string, ...args: string[]): Peer => ({
    name,
    about,
    command: ifBuilt(native, file, ...args),
    version: '',
    speaksLines: false,
    isNative: true,
  });
  return [
    ours('epoll', 'run() on epoll, read and send'),
    ours('epoll-recvInto', 'the same with recvInto', '--with', 'recvInto'),
    ours('epoll-runSync', 'the same in runSync()', '--loop', 'runSync'),
    ours('epoll-sendAll', 'BufferedWriteHandler, sendAll', '--with', 'sendAll'),
    ours('epoll-lines', 'LineHandler, sendLine', '--with', 'lines'),
    ours('poll', 'run() on poll, read and send', '--map', 'poll'),
    ours('select', 'run() on select, read and send', '--map', 'select'),
    inC('c-epoll', 'plain C over epoll: the limit', 'echo_epoll'),
    inC('c-epoll-thread', 'the same beside a thread that sleeps', 'echo_epoll', '--thread'),
    inC('libevent', 'C over libevent', 'echo_libevent'),
    addon('addon', 'our addon’s calls without the library: the least in JavaScript'),
    addon('addon-slices', 'the same with a slice of its own for every message', '--slices'),
    node('node-net', 'node:net'),
    node('node-net-lines', 'node:net, a write for every line', '--with', 'lines'),
    node(
      'node-net-corked',
      'the same, corked: the lines of a read sent as one',
      '--with',
      'corked',
    ),
    installed('bun', 'Bun.listen', ['run'], 'bun-echo'),
    installed('deno', 'Deno.listen', ['run', '-A', '--v8-flags=--expose-gc'], 'deno-echo'),
  ];
}

export function canServe(peer: Peer): peer is ServingPeer {
  return Array.isArray(peer.command);
}

function ifBuilt(native: NativePrograms, file: string, ...args: string[]): Peer['command'] {
  const found = native.find(file);
  return found === undefined ? { missing: 'not built' } : [found, ...args];
}

/** A peer that is measured where it is installed, and never fetched unasked. */
function installed(name: string, about: string, args: string[], file: string): Peer {
  const runtime = findRuntime(name);
  const said = runtime === undefined ? '' : spawnSync(runtime, ['--version']).stdout.toString();
  return {
    name,
    about,
    command:
      runtime === undefined ? { missing: 'not installed' } : [runtime, ...args, program(file)],
    version: /\d+(\.\d+)+/.exec(said)?.[0] ?? '',
    speaksLines: false,
    isNative: false,
  };
}

/** The runtime's program: on the PATH, or installed from npm in this or an upper folder. */
export function findRuntime(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  for (let at = process.cwd(); at !== path.dirname(at); at = path.dirname(at)) {
    folders.push(path.join(at, 'node_modules', '.bin'));
  }
  return folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
}
