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

/** Uses every entry point. */
const APPLICATION = `
import { IOHandler, socketpair } from 'asynchia';
import { DefaultSocketMap } from 'asynchia/maps';
import { BufferedWriteHandler } from 'asynchia/protocols';
import { select } from 'asynchia/select';
import { SimSocketMap } from 'asynchia/testing';
const map = new DefaultSocketMap();
const [ours, theirs] = socketpair();
class Reader extends IOHandler {
  handleRead() { console.log(String(this.read(64)), select([], [theirs], [], 1)[1].length); map.close(); }
}
new Reader(map, ours).setReadable(true);
new BufferedWriteHandler(map, theirs).sendAll(IOHandler.name + new SimSocketMap().constructor.name);
map.runSync();
`;

/** Bundles the application, with the library in it, as its users do. Returns the bundle. */
function bundle(format: 'cjs' | 'esm'): string {
  const project = path.join(folder, 'project');
  mkdirSync(path.join(project, 'node_modules'), { recursive: true });
  symlinkSync(root, path.join(project, 'node_modules', 'asynchia'));
  writeFileSync(path.join(project, 'application.mjs'), APPLICATION);
  const outfile = path.join(project, 'dist', `bundle.${format === 'cjs' ? 'cjs' : 'mjs'}`);
  const entryPoints = [path.join(project, 'application.mjs')];
  const { warnings } = buildSync({
    entryPoints,
    outfile,
    format,
    bundle: true,
    platform: 'node',
    // It lies below node_modules, as when it is installed.
    preserveSymlinks: true,
  });
  expect(warnings).toEqual([]);
  return outfile;
}

describe.each(['cjs', 'esm'] as const)('a bundle (%s) that contains the library', (format) => {
  test('runs with the addon of the package that is installed in a folder above', async () => {
    program = new Program(process.execPath, [bundle(format)]);
    expect([await program.ends(), program.stderr]).toEqual([0, '']);
    expect(program.stdout).toBe('IOHandlerSimSocketMap 1\n');
  });

  test('throws an error that says where the addon was searched, and what to do', async () => {
    const alone = path.join(folder, 'elsewhere', path.basename(bundle(format)));
    cpSync(path.join(folder, 'project', 'dist'), path.dirname(alone), { recursive: true });
    // A project with an addon of its own, which must not be taken for ours.
    writeFileSync(path.join(folder, 'elsewhere', 'package.json'), '{ "name": "project" }');
    writeFileSync(path.join(folder, 'elsewhere', 'binding.gyp'), '{}');
    const error = await errorOf(alone);
    expect(error).toContain(`asynchia's addon was not found`);
    expect(error).toContain(`is installed where ${alone} would find it`);
    expect(error).toContain('npm install asynchia');
  });
});

describe('where Node refuses addons, the error names the option, not a build', () => {
  const use = path.join(root, 'dist', 'lib', 'index.js');
  // Node 20 and 22 call it experimental; all have one of the two.
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';

  async function errorUnder(...options: string[]): Promise<string> {
    program = new Program(process.execPath, [...options, '-e', `require(${JSON.stringify(use)})`]);
    expect(await program.ends()).toBe(1);
    return program.stderr;
  }

  test.each([
    ['--permission', [permission, '--allow-fs-read=*'], '--allow-addons'],
    ['--no-addons', ['--no-addons'], '--no-addons'],
  ])('under %s', async (_name, options, remedy) => {
    const error = await errorUnder(...options);
    expect(error).toContain("asynchia's addon was not loaded");
    expect(error).toContain(remedy);
    expect(error).not.toContain('rebuild');
  });

  test('under --permission with the package readable in part', async () => {
    const readable = ['package.json', 'dist', 'node_modules'].map(
      (each) => `--allow-fs-read=${path.join(root, each)}${each === 'package.json' ? '' : '/*'}`,
    );
    const error = await errorUnder(permission, '--allow-addons', ...readable);
    expect(error).toContain('--allow-fs-read');
    expect(error).not.toContain('rebuild');
  });

  test('under --permission with --allow-addons it runs', async () => {
    const options = [permission, '--allow-fs-read=*', '--allow-addons'];
    const script = `require(${JSON.stringify(use)}).socketpair()`;
    program = new Program(process.execPath, [...options, '-e', script]);
    expect(await program.ends()).toBe(0);
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
