/** Loading the addon: where it is searched, and the error when it is missing. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { buildSync } from 'esbuild';

import { Program, root } from '../support/processes';

let folder: string;
let program: Program | undefined;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-loading-'));
});
afterEach(() => {
  program?.kill();
  rmSync(folder, { recursive: true });
});

async function errorOf(file: string): Promise<string> {
  program = new Program(process.execPath, [file]);
  expect(await program.ends()).toBe(1);
  return program.stderr;
}

describe.each(['cjs', 'esm'] as const)('a bundle (%s) that contains the library', (format) => {
  test('throws an error that says where the addon was searched, and what to do', async () => {
    // A project with an addon of its own, which must not be taken for ours.
    writeFileSync(path.join(folder, 'package.json'), '{ "name": "project" }');
    writeFileSync(path.join(folder, 'binding.gyp'), '{}');
    const outfile = path.join(folder, 'dist', `bundle.${format === 'cjs' ? 'cjs' : 'mjs'}`);
    const entryPoints = [path.join(root, 'lib', 'index.ts')];
    buildSync({ entryPoints, outfile, format, bundle: true, platform: 'node' });
    const error = await errorOf(outfile);
    expect(error).toContain("asynchia's addon was not found");
    expect(error).toContain(`looked for in: ${format === 'cjs' ? folder : 'no place'}`);
    expect(error).toContain('mark asynchia as external');
  });
});

test('a package without a build throws an error that says how to build it', async () => {
  for (const part of ['package.json', 'dist/lib']) {
    cpSync(path.join(root, part), path.join(folder, part), { recursive: true });
  }
  mkdirSync(path.join(folder, 'node_modules'));
  const [target, link] = [root, folder].map((at) => path.join(at, 'node_modules/node-gyp-build'));
  symlinkSync(target ?? '', link ?? '');
  const error = await errorOf(path.join(folder, 'dist', 'lib', 'index.js'));
  expect(error).toContain(`asynchia's addon was not loaded from ${folder}`);
  expect(error).toContain('No native build was found');
  expect(error).toContain(`npx node-gyp rebuild --directory ${folder}`);
});
