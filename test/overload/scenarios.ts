/** Every overload scenario: a program of that name beside this. */
export const SCENARIOS = {
  'out-of-descriptors': 'more clients than descriptors',
  'small-buffers': 'sockets with the least buffers there are',
  'connect-storm': 'far more clients at once than the backlog holds',
  'slow-readers': 'readers that are each owed many megabytes',
  'one-byte-a-second': 'peers that send one byte a second, or none',
  'never-reads': 'peers that ask and never read an answer',
  'endless-lines': 'lines without end',
  'come-and-go': 'connections that come, and go in every way',
} as const;

export type ScenarioName = keyof typeof SCENARIOS;

export const scenarioNames = Object.keys(SCENARIOS) as ScenarioName[];
