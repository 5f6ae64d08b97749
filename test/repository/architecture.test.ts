/** Checks the sources of lib/: their imports, and forbidden words. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import ts from 'typescript';

import { root } from '../support/processes';

/**
 * Every file of lib/, from the bottom to the top. A file imports, types included, only what stands
 * above it in this list. What the lines are called follows DESIGN's one direction.
 */
const LAYERS: readonly { readonly layer: string; readonly files: readonly string[] }[] = [
  { layer: 'leaves', files: ['readiness', 'arguments', 'timers', 'sockets/address-types'] },
  { layer: 'what an inspection tells', files: ['inspection/shapes'] },
  { layer: 'the system', files: ['errors', 'kernel', 'binding', 'sockets/constants'] },
  {
    layer: 'sockets',
    files: ['sockets/address', 'sockets/role', 'sockets/slab', 'sockets/socket'],
  },
  { layer: 'beside sockets', files: ['sockets/waker', 'sockets/lookups'] },
  {
    layer: 'handlers',
    files: [
      'handlers/handler-state',
      'handlers/registry',
      'handlers/life',
      'handlers/description',
      'handlers/handler',
    ],
  },
  { layer: 'notifier', files: ['notifier'] },
  { layer: 'loop', files: ['loop/dispatch', 'loop/handler-table', 'loop/main-loop'] },
  {
    layer: 'observation',
    files: [
      'inspection/byte-count',
      'inspection/observer',
      'inspection/observed-notifier',
      'inspection/observed-loop',
      'inspection/inspect',
    ],
  },
  { layer: 'the face of maps', files: ['loop/socket-map'] },
  { layer: 'map classes', files: ['maps/available', 'maps/select', 'maps/poll', 'maps/epoll'] },
  { layer: 'choice of a map', files: ['maps/default', 'maps/index'] },
  {
    layer: 'kinds of handlers',
    files: [
      'handlers/idle-watch',
      'handlers/failed-transfers',
      'handlers/io-handler',
      'handlers/acceptor',
      'handlers/server',
    ],
  },
  { layer: 'buffers of protocols', files: ['protocols/output-queue', 'protocols/line-buffer'] },
  { layer: 'protocols', files: ['protocols/buffered-write', 'protocols/line', 'protocols/index'] },
  { layer: 'a simulated world', files: ['testing/random', 'testing/faults', 'testing/simulation'] },
  {
    layer: 'its sockets',
    files: ['testing/description', 'testing/receive-queue', 'testing/stream'],
  },
  {
    layer: 'its kernel',
    files: [
      ...['testing/network', 'testing/socket-options', 'testing/sim-backend'],
      'testing/sim-kernel',
    ],
  },
  {
    layer: 'its map',
    files: ['testing/sim-socket-map', 'testing/simulate', 'testing/index'],
  },
  { layer: 'entry points', files: ['select', 'index'] },
];

const lib = path.join(root, 'lib');

interface Source {
  /** Below lib/, without the extension. */
  readonly name: string;
  readonly text: string;
  /** The files of lib/ that it imports. */
  readonly imports: readonly string[];
  readonly packages: readonly string[];
}

function readSource(file: string): Source {
  const text = readFileSync(path.join(lib, file), 'utf8');
  const specifiers = ts.preProcessFile(text, true, true).importedFiles.map((each) => each.fileName);
  const resolve = (specifier: string): string => {
    const target = path.posix.join(path.posix.dirname(file), specifier).replace(/\.[jt]s$/, '');
    return files.includes(`${target}/index.ts`) ? `${target}/index` : target;
  };
  return {
    name: file.replace(/\.ts$/, ''),
    text,
    imports: specifiers.filter((each) => each.startsWith('.')).map(resolve),
    packages: specifiers.filter((each) => !each.startsWith('.')),
  };
}

function filesBelow(folder: string, endings: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    endings.test(file),
  );
}

const files = filesBelow(lib, /\.ts$/);
const sources = files.map(readSource);
const order = LAYERS.flatMap(({ files: names }) => names);

/** A way from `name` back to itself, if there is one. */
function cycleThrough(name: string): string[] | undefined {
  const seen = new Set<string>();
  const follow = (at: string, way: string[]): string[] | undefined => {
    for (const next of sources.find((source) => source.name === at)?.imports ?? []) {
      if (next === name) return [...way, next];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = follow(next, [...way, next]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return follow(name, [name]);
}

function everyNode(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => {
    everyNode(child, visit);
  });
}

describe('the layers of lib/', () => {
  test('there are sources to read', () => {
    expect(sources.length).toBeGreaterThan(20);
    expect(sources.find(({ name }) => name === 'loop/main-loop')?.imports).toContain(
      'loop/handler-table',
    );
  });

  test('every file has its place', () => {
    const lost = sources.map(({ name }) => name).filter((name) => !order.includes(name));
    const hint =
      'add it to LAYERS in test/repository/architecture.test.ts, behind the last file it imports';
    expect(lost.map((name) => `lib/${name}.ts is in no layer: ${hint}`)).toEqual([]);
  });

  test('every place has its file', () => {
    const gone = order.filter((name) => !sources.some((source) => source.name === name));
    expect(gone.map((name) => `lib/${name}.ts is gone: take it out of LAYERS`)).toEqual([]);
  });

  test('no import goes round in a circle', () => {
    const cycles = sources.map(({ name }) => cycleThrough(name)?.join(' -> '));
    expect(cycles.filter((cycle) => cycle !== undefined)).toEqual([]);
  });

  test('no import points upward', () => {
    const upward = sources.flatMap(({ name, imports }) =>
      imports
        .filter((target) => order.indexOf(target) >= order.indexOf(name))
        .map((target) => `lib/${name}.ts imports ${target}, which is not below it in LAYERS`),
    );
    expect(upward).toEqual([]);
  });

  test('only binding.ts loads the addon', () => {
    const loads = /node-gyp-build|createRequire|dlopen|\brequire\(|\.node['"`]/;
    const loading = sources.filter(({ text }) => loads.test(text)).map(({ name }) => name);
    expect(loading).toEqual(['binding']);
  });

  test("nothing is imported but lib's own and Node's", () => {
    const foreign = sources.flatMap(({ name, packages }) =>
      packages.filter((each) => !each.startsWith('node:')).map((each) => `${name}: ${each}`),
    );
    // `import os from 'os'` would do, but not be seen to be Node's.
    expect(foreign).toEqual([]);
  });
});

describe('tidiness of the sources', () => {
  test('lib/ says neither any nor ts-ignore', () => {
    const found: string[] = [];
    for (const { name, text } of sources) {
      if (/@ts-(ignore|nocheck|expect-error)/.test(text)) found.push(`lib/${name}.ts: @ts-…`);
      const file = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
      everyNode(file, (node) => {
        if (node.kind !== ts.SyntaxKind.AnyKeyword) return;
        const line = file.getLineAndCharacterOfPosition(node.getStart()).line + 1;
        found.push(`lib/${name}.ts:${line}: any`);
      });
    }
    expect(found).toEqual([]);
  });
});
