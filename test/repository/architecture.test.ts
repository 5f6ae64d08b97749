/** Checks the sources of lib/: their imports, and forbidden words. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import ts from 'typescript';

import { root } from '../support/processes';

/**
 * The parts of lib/, from the bottom to the top. A part imports, types included, only parts below it,
 * and of those only what its README names.
 */
const LAYERS = [
  'system',
  'sockets',
  'transport',
  'handlers',
  'protocols',
  'notifier',
  'loop',
  'inspection',
  'maps',
  'testing',
  'select',
  'index',
] as const;

/** Parts that are a file, not a folder with a README. */
const FILES: Readonly<Record<string, readonly string[]>> = {
  notifier: ['handlers', 'transport', 'system'],
  select: ['system'],
  index: ['maps', 'notifier', 'protocols', 'handlers', 'transport', 'sockets', 'system'],
};

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

/** `transport` of `transport/stream`, `notifier` of `notifier`. */
function partOf(name: string): string {
  return name.split('/')[0]!;
}

/** What the README of a folder says it may import. */
function allowedImports(part: string): readonly string[] {
  const listed = FILES[part];
  if (listed !== undefined) return listed;
  const [line = ''] = readFileSync(path.join(lib, part, 'README.md'), 'utf8').split('\n');
  const [, imports] = /^\S.+\. May import: (.+)\.$/.exec(line) ?? [];
  if (imports === undefined) {
    throw new Error(`lib/${part}/README.md does not say what it may import`);
  }
  return [...imports.matchAll(/`(\w+)`/g)]
    .map(([, name]) => name!)
    .filter((name) => name !== 'lib');
}

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
      'loop/registrations',
    );
  });

  test('every folder and file is a part in LAYERS', () => {
    expect([...new Set(sources.map(({ name }) => partOf(name)))].sort()).toEqual(
      [...LAYERS].sort(),
    );
  });

  test.each(LAYERS)('%s may import only parts below it', (part) => {
    const below = LAYERS.slice(0, LAYERS.indexOf(part)) as readonly string[];
    expect(allowedImports(part).filter((name) => !below.includes(name))).toEqual([]);
  });

  test('every import is allowed by the README of its folder', () => {
    const forbidden = sources.flatMap(({ name, imports }) =>
      imports
        .filter(
          (target) => ![partOf(name), ...allowedImports(partOf(name))].includes(partOf(target)),
        )
        .map((target) => `lib/${name}.ts imports ${target}`),
    );
    expect(forbidden).toEqual([]);
  });

  test('docs/architecture.md has the same table', () => {
    const text = readFileSync(path.join(root, 'docs', 'architecture.md'), 'utf8');
    const rows = [...text.matchAll(/^\| `([\w.]+)` .*\| (.*?) *\|$/gm)].map(([, part, imports]) => [
      part!.replace(/\.ts$/, ''),
      [...imports!.matchAll(/`(\w+)`/g)].map(([, name]) => name).filter((name) => name !== 'lib'),
    ]);
    const parts = LAYERS.map((part) => [part, allowedImports(part)]);
    expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(parts));
  });

  test('no import goes round in a circle', () => {
    const cycles = sources.map(({ name }) => cycleThrough(name)?.join(' -> '));
    expect(cycles.filter((cycle) => cycle !== undefined)).toEqual([]);
  });

  test('only binding.ts loads the addon', () => {
    const loads = /node-gyp-build|createRequire|dlopen|\brequire\(|\.node['"`]/;
    const loading = sources.filter(({ text }) => loads.test(text)).map(({ name }) => name);
    expect(loading).toEqual(['system/binding']);
  });

  test("nothing is imported but lib's own and Node's", () => {
    const foreign = sources.flatMap(({ name, packages }) =>
      packages.filter((each) => !each.startsWith('node:')).map((each) => `${name}: ${each}`),
    );
    // `import os from 'os'` would do, but not be seen to be Node's.
    expect(foreign).toEqual([]);
  });
});

describe('the transport owns the state', () => {
  test('only Transport.enter changes the phase', () => {
    // Sockets of the simulated kernel have phases of their own.
    const ours = sources.filter(({ name }) => partOf(name) !== 'testing');
    const writers = ours.filter(({ text }) => text.includes('.phase = ')).map(({ name }) => name);
    expect(writers).toEqual(['transport/transport']);
  });

  test('handlers have no symbol-keyed methods for the loop', () => {
    const faces = sources.filter(({ name }) => /^(handlers|protocols)\//.test(name));
    const keys = faces.flatMap(({ text }) =>
      [...text.matchAll(/^ {2}(?:override )?\[([\w.]+)\]\(/gm)].map(([, key]) => key),
    );
    expect([...new Set(keys)].sort()).toEqual(
      ['Symbol.dispose', 'makeTransport', 'util.inspect.custom'].sort(),
    );
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
