/** The fuzzer, for a few seconds. `npm run check -- fuzz` runs it for minutes, under sanitizers. */
import { Program } from '../support/processes';
import { until } from '../support/turns';

test('arbitrary calls, in any order, end in results and errors alone', async () => {
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
