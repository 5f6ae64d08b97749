/** Runs the built examples, and clients such as nc; ends all of them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { candidates } from '../../lib/maps';

import { Program, root } from './processes';

/** The valid values of `ASYNCHIA_MAP` on this machine. */
export const backends = candidates.filter((map) => map.available).map((map) => map.backend);

const started: Program[] = [];

/** Starts a program that `endAll` ends. */
export function start(
  command: string,
  args: readonly (string | number)[],
  env?: NodeJS.ProcessEnv,
): Program {
  const program = new Program(command, args.map(String), env);
  // Writing to a program that has just ended is no error here.
  program.child.stdin?.on('error', () => undefined);
  started.push(program);
  return program;
}

/** For afterEach: ends running programs. */
export function endAll(): void {
  for (const program of started.splice(0)) program.kill();
}

/** The path of a built example. */
export function scriptOf(name: string): string {
  return path.join(root, 'dist', 'examples', `${name}.js`);
}

/** Starts an example on a map of that name. */
export function example(name: string, backend: string, ...args: (string | number)[]): Program {
  return start(process.execPath, [scriptOf(name), ...args], { ASYNCHIA_MAP: backend });
}

/** The port that an example prints. */
export async function portOf(program: Program): Promise<number> {
  await program.says('\n');
  return Number(/127\.0\.0\.1:(\d+)/.exec(program.stdout)?.[1]);
}

/** Debian's nc, which ends its side when its input ends. */
export function nc(port: number): Program {
  return start('nc', ['-N', '127.0.0.1', port]);
}

/** socat, which continues for ten seconds after its input has ended. */
export function socat(port: number): Program {
  return start('socat', ['-t', 10, '-', `TCP:127.0.0.1:${port}`]);
}

/** Python, with its socket module imported and a connection `s` to `port`. */
export function python(port: number, script: string): Program {
  const connect = `import os, select, socket, struct, sys, threading
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
s.connect(('127.0.0.1', ${port}))
`;
  return start('python3', ['-u', '-c', connect + script]);
}

/** Whether the port on 127.0.0.1 has a listener. */
export function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return readFileSync('/proc/net/tcp', 'latin1').includes(`0100007F:${hex} 00000000:0000 0A`);
}
