/** Peers with python3's socket module, in a process of their own. */
import { Program } from './processes';

const PRELUDE = `
import hashlib, os, select, socket, struct, sys, threading, time
def say(text): print(text, flush=True)
def hear(): return sys.stdin.readline()
`;

/** Runs a Python script with `say`, `hear` and the usual modules. */
export function python(script: string, ...args: (string | number)[]): Program {
  return new Program('python3', ['-c', PRELUDE + script, ...args.map(String)]);
}
