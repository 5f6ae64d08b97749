/** README.md: its code compiles as a user would compile it, against what the package exports. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import ts from 'typescript';

import { root } from '../support/processes';

/** What README.md leaves to its reader. */
const MY_HANDLERS = `
import { BufferedWriteHandler } from 'asynchia/protocols';
export class MyHandler extends BufferedWriteHandler {}
export class MyClient extends BufferedWriteHandler { answer = ''; }
`;

const blocks = [
  ...readFileSync(path.join(root, 'README.md'), 'utf8').matchAll(/^```ts\n(.*?)^```$/gms),
].map(([, code = '']) => code);

// The compiler takes its time, where other tests run beside it.
jest.setTimeout(120_000);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'asynchia-readme-'));
  mkdirSync(path.join(folder, 'node_modules'));
  symlinkSync(root, path.join(folder, 'node_modules', 'asynchia'));
  symlinkSync(path.join(root, 'node_modules/@types'), path.join(folder, 'node_modules/@types'));
  writeFileSync(path.join(folder, 'my-handlers.ts'), MY_HANDLERS);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('there is code to read', () => {
  expect(blocks.length).toBeGreaterThan(3);
});

test('its code compiles under strict and noImplicitOverride', () => {
  const rootNames = blocks.map((code, i) => {
    const file = path.join(folder, `block-${i + 1}.ts`);
    writeFileSync(file, code);
    return file;
  });
  const program = ts.createProgram({
    rootNames,
    options: {
      strict: true,
      noImplicitOverride: true,
      module: ts.ModuleKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      types: ['node', 'jest'],
      typeRoots: [path.join(folder, 'node_modules/@types')],
      skipLibCheck: true,
      noEmit: true,
    },
  });
  const said = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, ' ');
    return `${path.basename(file?.fileName ?? '')}: ${text}`;
  });
  expect(said).toEqual([]);
});
