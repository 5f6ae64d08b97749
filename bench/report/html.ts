/** The report for a browser: one file, which opens without a network. */
import type { Report } from '../run';
import type { Result, Standing } from '../trial';
import { number, withSpread } from './format';
import { barPlot, linePlot } from './plot';
import { describeRun, HOW_TO_READ, tableOf, verdictTable } from './table';

const STYLE = `
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1240px; margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2.2em; }
table { border-collapse: collapse; font-size: 13px; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 9px; border-bottom: 1px solid #ddd; text-align: right; white-space: pre; }
th:first-child, td:first-child { text-align: left; }
tr.ours td { background: #eef5fa; }
td.met { color: #2a7a2a; } td.missed { color: #b03030; font-weight: bold; }
.wide { overflow-x: auto; }
svg { max-width: 100%; height: auto; display: block; margin: 1em 0; }
.about { color: #555; }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
`;

export function drawHtml(report: Report): string {
  const sections = [
    ...(report.verdicts === undefined
      ? []
      : [section('Budgets', [], verdictTable(report.verdicts))]),
    ...linesOf(report.results),
    ...report.results.map((result) => section(result.title, plotsOf(result), tableOf(result))),
  ];
  const about = [...describeRun(report), report.date, HOW_TO_READ, ...report.notes];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>asynchia bench</title>
<style>${STYLE}</style>
<h1>asynchia bench</h1>
<p class="about">${about.map(escape).join('<br>\n')}</p>
${sections.join('\n')}
</html>
`;
}

function section(
  title: string,
  plots: readonly string[],
  { head, rows }: { head: readonly string[]; rows: readonly (readonly string[])[] },
): string {
  const cells = (row: readonly string[]): string =>
    row.map((cell) => `<td${verdictClass(cell)}>${escape(cell)}</td>`).join('');
  const body = rows.map(
    (row) =>
      `<tr${row[0]?.startsWith('asynchia') === true ? ' class="ours"' : ''}>${cells(row)}</tr>`,
  );
  return `<h2>${escape(title)}</h2>
${plots.join('\n')}
<div class="wide"><table>
<thead><tr>${head.map((cell) => `<th>${escape(cell)}</th>`).join('')}</tr></thead>
<tbody>
${body.join('\n')}
</tbody>
</table></div>`;
}

/** The backends' results as one picture: time over the number of descriptors. */
function linesOf(results: readonly Result[]): string[] {
  const chains = results.filter(({ scenario }) => scenario === 'backends');
  if (chains.length < 2) return [];
  const names = new Set(chains.flatMap(({ standings }) => standings.map(({ name }) => name)));
  const draw = (title: string, key: string): string =>
    linePlot(
      title,
      'descriptors watched',
      'µs',
      [...names].map((name) => ({
        name,
        points: chains.flatMap(({ parameters, standings }) => {
          const median = standings.find((each) => each.name === name)?.figures[key]?.median;
          const watched = parameters['watched'];
          return median === undefined || watched === undefined ? [] : [[watched, median] as const];
        }),
      })),
    );
  return [
    '<h2>backends: time over the number of descriptors</h2>',
    draw('The event loop alone', 'loop'),
    draw('With every interest withdrawn and asked for again before', 'turn'),
  ];
}

function plotsOf({ scenario, figures, standings }: Result): string[] {
  if (scenario === 'backends') return [];
  if (scenario === 'idle') return [bars('Resident memory of a connection, B', 'rss', standings)];
  const labelled = new Map(figures.map((figure) => [figure.key, figure]));
  if (scenario === 'timers') {
    return ['arm', 'cancel', 'fire'].map((key) =>
      bars(`CPU to ${labelled.get(key)?.label ?? key} a timer, ns`, key, standings),
    );
  }
  if (!labelled.has('rate')) return [];
  return [
    bars(labelled.get('rate')?.label ?? '', 'rate', standings),
    cpuBars(`${labelled.get('cpu')?.label ?? ''}, µs`, standings),
  ];
}

function bars(title: string, key: string, standings: readonly Standing[]): string {
  return barPlot(
    title,
    [title],
    standings.flatMap(({ name, figures }) => {
      const figure = figures[key];
      return figure === undefined
        ? []
        : [{ name, parts: [figure.median], label: withSpread(figure) }];
    }),
  );
}

function cpuBars(title: string, standings: readonly Standing[]): string {
  return barPlot(
    title,
    ['in the program', 'in the kernel'],
    standings.flatMap(({ name, figures: { cpu, user } }) =>
      cpu === undefined || user === undefined
        ? []
        : [{ name, parts: [user.median, cpu.median - user.median], label: number(cpu.median) }],
    ),
  );
}

function verdictClass(cell: string): string {
  return cell === 'met' || cell === 'missed' ? ` class="${cell}"` : '';
}

function escape(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
