/** The C programs: built when they are first needed, into a folder of the system's for such things. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
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

/** Named after the sources, so that no other version's programs are taken for these. */
function cacheFolder(): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(sources).filter((name) => /\.[ch]$|^Makefile$/.test(name))) {
    hash.update(readFileSync(path.join(sources, file)));
  }
  const digest = hash.digest('hex').slice(0, 8);
  const owner = process.getuid?.() ?? 0;
  const folder = path.join(os.tmpdir(), `asynchia-bench-${packageVersion}-${digest}-${owner}`);
  mkdirSync(folder, { mode: 0o700, recursive: true });
  // The name can be guessed: programs that somebody else has put there are not run.
  const { uid, mode } = lstatSync(folder);
  if (uid !== owner || (mode & 0o022) !== 0) throw new Error(`${folder} is not ours alone`);
  return folder;
}

export async function buildNative(): Promise<NativePrograms> {
  const folder = cacheFolder();
  const notes: string[] = [];
  try {
    const make = ['-C', folder, '-f', path.join(sources, 'Makefile')];
    const { stdout } = await promisify(execFile)('make', make);
    notes.push(...stdout.split('\n').filter((line) => line.includes('left out')));
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    const reason = code === 'ENOENT' ? 'there is no make' : (stderr ?? String(error)).trim();
    notes.push(`The C programs could not be built (${reason}): what needs them is left out.`);
  }
  return {
    find: (name) => {
      const file = path.join(folder, 'build', name);
      return existsSync(file) ? file : undefined;
    },
    notes,
  };
}
