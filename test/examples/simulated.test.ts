/** The example that finds a planted bug on a simulated map. */
import { endAll, scriptOf, start } from '../support/examples';

afterEach(endAll);

async function outputOf(env: NodeJS.ProcessEnv): Promise<string[]> {
  const program = start(process.execPath, [scriptOf('simulated')], env);
  expect(await program.ends()).toBe(0);
  return program.stdout.trimEnd().split('\n');
}

test('the bug of the careless greeter is found, and the printed seed repeats it', async () => {
  const [careless, careful] = await outputOf({ ASYNCHIA_SEED: '' });
  const found = /^CarelessGreeter: seed (\d+) \(ASYNCHIA_SEED=\1 repeats it\): answered /.exec(
    careless ?? '',
  );
  expect(found).not.toBeNull();
  expect(careful).toBe('Greeter: no seed found anything');
  expect(await outputOf({ ASYNCHIA_SEED: found![1] })).toEqual([careless, careful]);
});
