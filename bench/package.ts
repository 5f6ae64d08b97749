/** The package that is measured: this one. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/** The benchmark runs from dist/bench, and its tests from bench: both lie below the root. */
function findRoot(folder: string): string {
  return existsSync(path.join(folder, 'package.json')) ? folder : findRoot(path.dirname(folder));
}

export const packageRoot = findRoot(__dirname);

const { version } = JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as {
  version: string;
};
export const packageVersion = version;

/** The bundled program of a name. */
export function program(name: string): string {
  return path.join(packageRoot, 'dist', 'bench', 'programs', `${name}.js`);
}
