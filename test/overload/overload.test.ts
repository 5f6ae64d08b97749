/** The short form of every overload scenario, in a process of its own. */
import path from 'node:path';

import { scenarioNames } from './scenarios';
import type { Outcome } from './stage';
import { isSanitized, Program, root } from '../support/processes';

/**
 * A client that finds a full backlog is retried by the kernel after 1, 3, 7, 15 and 31 seconds
 * (tcp(7), tcp_syn_retries): on a busy machine some find it full several times.
 */
const PATIENCE_MS = 90_000;
jest.setTimeout(PATIENCE_MS + 10_000);

test.each(scenarioNames)('%s: every promise is kept', async (name) => {
  const script = path.join(root, 'dist', 'overload', `${name}.js`);
  const program = new Program(process.execPath, [script, '--json']);
  const status = await program.ends(PATIENCE_MS);
  if (program.stdout === '') throw new Error(`${name} ended (${status}): ${program.stderr}`);
  const { held, facts, connections } = JSON.parse(program.stdout) as Outcome;
  const judged = held.filter(({ what }) => !(isSanitized && what.startsWith('peak memory')));
  const broken = judged.filter(({ isTrue }) => !isTrue).map(({ what }) => what);
  expect({ broken, facts }).toEqual({ broken: [], facts });
  expect(held.length).toBeGreaterThan(4);
  expect(connections).toBeGreaterThan(0);
});

test('the command prints a table, and rejects unknown scenarios', async () => {
  const command = path.join(root, 'dist', 'overload', 'run.js');
  const table = new Program(process.execPath, [command, 'endless-lines']);
  expect([await table.ends(), table.stderr]).toEqual([0, '']);
  expect(table.stdout).toContain('│ endless-lines │');
  expect(table.stdout).toContain('│ all ');
  const refused = new Program(process.execPath, [command, 'nothing']);
  expect(await refused.ends()).toBe(1);
  expect(refused.stderr).toContain('out-of-descriptors');
});
