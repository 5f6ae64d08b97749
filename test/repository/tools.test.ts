/** Programs that `npm test` uses and does not bring: where one is missing, its part is left out aloud. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { isInstalled, Program, root } from '../support/processes';

test('tests start Node by process.execPath, so that they run on the Node that is tested', () => {
  const folder = path.join(root, 'test');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const starting = files
    .filter((file) => file.endsWith('.ts'))
    .filter((file) => /\((['"])node\1[,)]/.test(readFileSync(path.join(folder, file), 'utf8')));
  expect(starting).toEqual([]);
});

test('.ci/run asks for every tool, and runs the tests on every Node that people run', () => {
  const script = readFileSync(path.join(root, '.ci', 'run'), 'utf8');
  expect(script).toContain('export ASYNCHIA_ALL_TOOLS=1');
  expect(script).toContain('npm run check -- nodes');
});

describe('tests of a program that is not installed', () => {
  const { CI, ASYNCHIA_ALL_TOOLS } = process.env;

  afterEach(() => {
    for (const [name, value] of Object.entries({ CI, ASYNCHIA_ALL_TOOLS })) {
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
    }
  });

  test('are left out aloud, also under CI=true', () => {
    const write = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    process.env['CI'] = 'true';
    Reflect.deleteProperty(process.env, 'ASYNCHIA_ALL_TOOLS');
    expect(isInstalled('asynchia-nowhere')).toBe(false);
    expect(write.mock.calls.join()).toContain('asynchia-nowhere is not installed');
    write.mockRestore();
  });

  test('fail under ASYNCHIA_ALL_TOOLS=1', () => {
    process.env['ASYNCHIA_ALL_TOOLS'] = '1';
    expect(() => isInstalled('asynchia-nowhere')).toThrow(/not installed/);
    expect(isInstalled('sh')).toBe(true);
  });
});

describe('the analysis of native/ on a machine without clang-tidy and g++', () => {
  const empty = mkdtempSync(path.join(os.tmpdir(), 'asynchia-tools-'));
  afterAll(() => rmSync(empty, { recursive: true }));

  const analyze = (env: NodeJS.ProcessEnv): Program =>
    new Program(process.execPath, [path.join(root, '.config', 'analyze.mjs')], {
      ASYNCHIA_ALL_TOOLS: undefined,
      PATH: empty,
      ...env,
    });

  test('under CI=true says what is left out, and does not fail', async () => {
    const program = analyze({ CI: 'true' });
    expect([await program.ends(), program.stderr]).toEqual([0, '']);
    for (const tool of ['clang-tidy', 'g++']) {
      expect(program.stdout).toContain(`${tool} is not installed`);
    }
    expect(program.stdout).toContain('so this step is left out');
  });

  test('under ASYNCHIA_ALL_TOOLS=1, which .ci/run sets, fails', async () => {
    const program = analyze({ ASYNCHIA_ALL_TOOLS: '1' });
    expect(await program.ends()).toBe(1);
    expect(program.stdout).toContain('clang-tidy is not installed');
  });
});
