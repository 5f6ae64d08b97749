/** The declarations of the package, where a project lacks what they are written with. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import ts from 'typescript';

import { root } from '../support/processes';

// The compiler takes its time, where other tests run beside it.
jest.setTimeout(120_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-types-'));
  const copy = path.join(folder, 'node_modules', 'asynchia');
  cpSync(path.join(root, 'package.json'), path.join(copy, 'package.json'));
  cpSync(path.join(root, 'dist', 'lib'), path.join(copy, 'dist', 'lib'), { recursive: true });
  writeFileSync(
    path.join(folder, 'use.ts'),
    ['', '/maps', '/protocols', '/select', '/testing']
      .map((entry, i) => `import * as entry${i} from 'asynchia${entry}'; void entry${i};`)
      .concat("import type { SocketMapClass, SocketMapOptions } from 'asynchia';")
      .concat('export type Both = [SocketMapClass, SocketMapOptions];')
      .join('\n'),
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

/** As a project that sets nothing but `strict`. */
function compile(options: ts.CompilerOptions): readonly string[] {
  const all: ts.CompilerOptions = {
    strict: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    noEmit: true,
    ...options,
  };
  const host = ts.createCompilerHost(all);
  host.getCurrentDirectory = () => folder;
  const program = ts.createProgram({
    rootNames: [path.join(folder, 'use.ts')],
    options: all,
    host,
  });
  return program
    .getSourceFiles()
    .filter(({ fileName }) => !/\/(typescript|@types)\//.test(fileName))
    .flatMap((file) => program.getSemanticDiagnostics(file))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}

test('without @types/node the error names them', () => {
  expect(compile({})).toContain("Cannot find type definition file for 'node'.");
});

test('with @types/node installed they compile, whatever `types` says', () => {
  mkdirSync(path.join(folder, 'node_modules', '@types'));
  symlinkSync(
    path.join(root, 'node_modules', '@types', 'node'),
    path.join(folder, 'node_modules', '@types', 'node'),
  );
  expect(compile({ types: [] })).toEqual([]);
});
