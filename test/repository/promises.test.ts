/** docs/reliability.md promises nothing for which it does not name a test that exists. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import ts from 'typescript';

import { root } from '../support/processes';

/** The table below a heading, as its cells. */
function promises(): { promise: string; held: string[] }[] {
  const text = readFileSync(path.join(root, 'docs', 'reliability.md'), 'utf8');
  const section = text.split(/^## /m).find((each) => each.startsWith('Promises')) ?? '';
  return section
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (promise|-|\*\*)/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map(([, promise = '', held = '']) => ({ promise, held: held.split('<br>') }));
}

/** What a file's calls have as their first arguments: the titles of its tests are among them. */
function titlesOf(file: string): string[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  const titles: string[] = [];
  const visit = (node: ts.Node): void => {
    const [first] = ts.isCallExpression(node) ? node.arguments : [];
    if (first !== undefined && ts.isStringLiteralLike(first)) titles.push(first.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest));
  return titles;
}

test('there are promises to read', () => {
  expect(promises().length).toBeGreaterThan(20);
});

test.each(promises())('held by tests that exist: $promise', ({ held }) => {
  for (const entry of held) {
    const [, file = '', title] = /^`(test\/[^`]+\.test\.ts)`(?:: (.+))?$/.exec(entry) ?? [];
    expect([entry, existsSync(path.join(root, file)) && file !== '']).toEqual([entry, true]);
    if (title !== undefined) expect(titlesOf(file)).toContain(title);
  }
});
