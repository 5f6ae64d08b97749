/** Runs the fuzzer for some seconds. `npm run check -- fuzz` runs it for minutes, with sanitizers. */
import { Program } from '../support/processes';
import { until } from '../support/turns';

test('random calls in random order only return results or throw Errors', async () => {
  const fuzzer = new Program(process.execPath, ['dist/fuzz/main.js', '--minutes', '0.1']);
  await until(
    () => fuzzer.status !== null,
    () => `the end of the fuzzer, which wrote: ${fuzzer.stdout}`,
    120_000,
  );
  expect({ status: fuzzer.status, said: fuzzer.stdout }).toEqual({
    status: 0,
    said: expect.stringContaining('none failed') as string,
  });
}, 150_000);
