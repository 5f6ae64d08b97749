/** The C programs: built when they are first needed, into a folder of the system's for such things. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { packageRoot, packageVersion } from './package';

export interface NativePrograms {
  /** The path of a program that was built. */
  find(name: string): string | undefined;
  /** Why some were not. */
  readonly notes: readonly string[];
}

const sources = path.join(packageRoot, 'bench', 'native');
const owner = process.getuid?.() ?? 0;

/**
 * Named after the sources and their place: no other version's programs are taken for these, and what
 * make remembers of a copy that has gone is no hindrance to another.
 */
function cacheFolder(): string {
  const hash = createHash('sha256').update(sources);
  for (const file of readdirSync(sources).filter((name) => /\.[ch]$|^Makefile$/.test(name))) {
    hash.update(readFileSync(path.join(sources, file)));
  }
  const digest = hash.digest('hex').slice(0, 8);
  return path.join(os.tmpdir(), `asynchia-bench-${packageVersion}-${digest}-${owner}`);
}

/** The name can be guessed: programs that somebody else has put there are not run. */
function assertOurs(folder: string): void {
  const { uid, mode } = lstatSync(folder);
  if (uid !== owner || (mode & 0o022) !== 0) throw new Error(`${folder} is not ours alone`);
}

async function make(folder: string): Promise<string> {
  const options = ['-C', folder, '-f', path.join(sources, 'Makefile')];
  return (await promisify(execFile)('make', options)).stdout;
}

/** Makes them out of sight, so that nobody who looks for them meanwhile finds half of them. */
async function makeFirst(folder: string): Promise<string> {
  const unfinished = mkdtempSync(`${folder}-`);
  try {
    const told = await make(unfinished);
    renameSync(unfinished, folder);
    return told;
  } catch (error) {
    // Where another process was first, its programs are as good.
    if (!existsSync(folder)) throw error;
    return await makeAgain(folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** Finds everything made, unless libevent has been installed since. */
async function makeAgain(folder: string): Promise<string> {
  assertOurs(folder);
  return make(folder);
}

export async function buildNative(): Promise<NativePrograms> {
  const folder = cacheFolder();
  const notes: string[] = [];
  try {
    const stdout = await (existsSync(folder) ? makeAgain(folder) : makeFirst(folder));
    notes.push(...stdout.split('\n').filter((line) => line.includes('left out')));
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    const reason = code === 'ENOENT' ? 'there is no make' : (stderr ?? String(error)).trim();
    notes.push(`The C programs could not be built (${reason}): what needs them is left out.`);
  }
  if (existsSync(folder)) assertOurs(folder);
  return {
    find: (name) => {
      const file = path.join(folder, 'build', name);
      return existsSync(file) ? file : undefined;
    },
    notes,
  };
}
