/** docs/lifecycle.dot has the phases of lib/transport/phase.ts and the allowed changes between them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { allowedChanges } from '../../lib/transport/phase';
import { root } from '../support/processes';

const read = (name: string): string => readFileSync(path.join(root, 'docs', name), 'utf8');

const source = read('lifecycle.dot');
const expectedEdges = Object.entries(allowedChanges).flatMap(([from, targets]) =>
  targets.map((to) => `${from} -> ${to}`),
);

test('its nodes are the phases', () => {
  const nodes = [...source.matchAll(/^ {2}(\w+) \[label=/gm)].map(([, name]) => name);
  expect(nodes.sort()).toEqual(Object.keys(allowedChanges).sort());
});

test('its edges are the allowed changes', () => {
  const edges = [...source.matchAll(/^ {2}(\w+) -> (\w+) /gm)].map((m) => `${m[1]} -> ${m[2]}`);
  expect(edges.sort()).toEqual(expectedEdges.sort());
});

test('the picture is rendered from it', () => {
  const titles = [...read('lifecycle.svg').matchAll(/<title>(.+?)<\/title>/g)]
    .map(([, title = '']) => title.replace(/&#45;&gt;/, ' -> '))
    .filter((title) => title.includes(' -> '));
  expect(titles.sort()).toEqual(expectedEdges.sort());
});
