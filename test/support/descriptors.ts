/** Descriptors of many kinds. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  constants as fs,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { Program } from './processes';

/** A descriptor that is not open: higher than any that a process here has. */
export const NOT_OPEN = 15_000;

/** Opens descriptors and files, and closes all of them at once. */
export class Workshop {
  readonly folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-'));
  readonly #open = new Set<number>();

  /** Takes over a descriptor. */
  keep(fd: number): number {
    this.#open.add(fd);
    return fd;
  }

  /** Others close it. */
  forget(fd: number): void {
    this.#open.delete(fd);
  }

  close(fd: number): void {
    this.forget(fd);
    closeSync(fd);
  }

  open(name: string, flags: number): number {
    return this.keep(openSync(path.resolve(this.folder, name), flags));
  }

  /** The two ends of a named pipe, non-blocking. */
  pipe(): { reader: number; writer: number } {
    const name = `pipe-${this.#open.size}`;
    spawnSync('mkfifo', [path.join(this.folder, name)]);
    const reader = this.open(name, fs.O_RDONLY | fs.O_NONBLOCK);
    const writer = this.open(name, fs.O_WRONLY | fs.O_NONBLOCK);
    return { reader, writer };
  }

  /** The master of a pseudo-terminal. What is written to it comes back: its terminal echoes. */
  terminal(): number {
    return this.open('/dev/ptmx', fs.O_RDWR | fs.O_NOCTTY | fs.O_NONBLOCK);
  }

  /** A regular file with something in it. */
  regularFile(): number {
    writeFileSync(path.join(this.folder, 'file'), 'content');
    return this.open('file', fs.O_RDWR);
  }

  /** Occupies the numbers up to `highest`, so that the next descriptor is above it. */
  occupyTo(highest: number): void {
    while (this.open('/dev/null', fs.O_RDONLY) < highest);
  }

  dispose(): void {
    for (const fd of this.#open) closeSync(fd);
    this.#open.clear();
    rmSync(this.folder, { recursive: true });
  }
}

/** The flags of an open descriptor, as the kernel has them (proc(5)). */
export function flagsOf(fd: number): { nonBlocking: boolean; closeOnExec: boolean } {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  const flags = parseInt(/flags:\s*([0-7]+)/.exec(info)?.[1] ?? '', 8);
  return { nonBlocking: (flags & fs.O_NONBLOCK) !== 0, closeOnExec: (flags & 0o2000000) !== 0 };
}

const MAKERS = {
  timerfd: `
    fd = libc.timerfd_create(1, 0o4000)
    libc.timerfd_settime(fd, 0, struct.pack('qqqq', 0, 0, 0, 30_000_000), None)`,
  inotify: `
    fd = libc.inotify_init1(0o4000)
    libc.inotify_add_watch(fd, sys.argv[2].encode(), 0x100)`,
  eventfd: `
    fd = libc.eventfd(0, 0o4000)`,
  terminal: `
    other, fd = os.openpty()
    os.set_inheritable(other, True)`,
} as const;

/**
 * Runs a script of JavaScript in a Node process that inherits a descriptor of a kind that Node
 * cannot make: `fd` there, with `select`, `Poll`, `Epoll` and the `bits`. An inotify(7) descriptor
 * watches `folder` for new files; a terminal's other side is the descriptor below its own.
 */
export function runWithDescriptor(
  kind: keyof typeof MAKERS,
  folder: string,
  script: string,
): Program {
  const dedented = MAKERS[kind].replaceAll('\n    ', '\n');
  const launcher = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
${dedented}
os.set_inheritable(fd, True)
os.execv(sys.argv[1], [sys.argv[1], '-e', sys.argv[3], str(fd), sys.argv[2]])`;
  const prologue = `
const fd = Number(process.argv[1]);
const { select, Poll, Epoll, ...bits } = require('asynchia/select');`;
  return new Program('python3', ['-c', launcher, process.execPath, folder, prologue + script]);
}
