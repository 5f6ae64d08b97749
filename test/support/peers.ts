/** Peers that are not ours: python3's socket module, in a process of its own. */
import { Program } from './processes';

const PRELUDE = `
import hashlib, os, select, socket, struct, sys, threading, time
def say(text): print(text, flush=True)
def hear(): return sys.stdin.readline()
`;

/** Runs a script of Python with `say`, `hear` and the usual modules at hand. */
export function python(script: string, ...args: (string | number)[]): Program {
  return new Program('python3', ['-c', PRELUDE + script, ...args.map(String)]);
}
