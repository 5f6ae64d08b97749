/** Plots, as SVG that needs nothing else to be seen. */
import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import * as echarts from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

import { number } from './format';

echarts.use([BarChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

const WIDTH = 900;
const BAR_HEIGHT = 26;
const FRAME_HEIGHT = 100;
const LINES_HEIGHT = 520;
const PANEL_HEIGHT = 170;
const TEXT = { fontFamily: 'system-ui, sans-serif', color: '#222' };
const TITLE = { left: 0, textStyle: { ...TEXT, fontSize: 15 } };
const PARTS = ['#2f6f9f', '#e08e45', '#7a9e5f'];
const OTHERS = ['#b4bec8', '#d8c3ad', '#cad6c0'];

export interface Bar {
  readonly name: string;
  /** One after the other, or the only one. */
  readonly parts: readonly number[];
  readonly label: string;
}

/** Horizontal bars, one for each name; ours stand out. */
export function barPlot(title: string, partNames: readonly string[], bars: readonly Bar[]): string {
  const fromBelow = bars.toReversed();
  const last = partNames.length - 1;
  return render(FRAME_HEIGHT + BAR_HEIGHT * bars.length, {
    title: { ...TITLE, text: title },
    legend: {
      show: partNames.length > 1,
      right: 40,
      top: 4,
      itemGap: 40,
      textStyle: TEXT,
      data: [...partNames],
    },
    color: PARTS,
    grid: { left: 190, right: 110, top: 40, bottom: 30 },
    xAxis: { type: 'value', axisLabel: { ...TEXT, hideOverlap: true }, splitNumber: 5 },
    yAxis: {
      type: 'category',
      data: fromBelow.map(({ name }) => name),
      axisLabel: { ...TEXT, interval: 0 },
      axisTick: { show: false },
    },
    series: partNames.map((name, part) => ({
      name,
      type: 'bar',
      stack: 'parts',
      barWidth: '65%',
      data: fromBelow.map((bar) => ({
        value: bar.parts[part] ?? 0,
        itemStyle: { color: (isOurs(bar.name) ? PARTS : OTHERS)[part] },
        label: {
          show: part === last,
          position: 'right',
          formatter: bar.label,
          ...TEXT,
        },
      })),
    })),
  });
}

export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const LINE_COLOURS: Readonly<Record<string, string>> = {
  select: '#c0504d',
  poll: '#7a9e5f',
  epoll: '#2f6f9f',
};

/** Lines over two logarithmic axes; those of one backend have one colour, and ours are not dashed. */
export function linePlot(
  title: string,
  xName: string,
  yName: string,
  lines: readonly Line[],
): string {
  const axis = {
    type: 'log' as const,
    nameLocation: 'middle' as const,
    nameTextStyle: { ...TEXT, fontSize: 13 },
    axisLabel: { ...TEXT, formatter: (value: number) => number(value).replace(/\.0+$/, '') },
    minorSplitLine: { show: true, lineStyle: { color: '#f2f2f2' } },
    splitLine: { show: true, lineStyle: { color: '#dddddd' } },
  };
  const all = lines.flatMap(({ points }) => points.map(([, y]) => y));
  return render(LINES_HEIGHT, {
    title: { ...TITLE, text: title },
    // Beside the plot: widths are guessed here, without the browser's fonts.
    legend: { orient: 'vertical', right: 30, top: 60, textStyle: TEXT, itemWidth: 40, itemGap: 14 },
    grid: { left: 80, right: 200, top: 50, bottom: 60 },
    xAxis: { ...axis, name: xName, nameGap: 32 },
    yAxis: {
      ...axis,
      name: yName,
      nameGap: 52,
      min: 10 ** Math.floor(Math.log10(Math.min(...all))),
    },
    series: lines.map(({ name, points }) => {
      const color = LINE_COLOURS[name.split('-').at(-1) ?? ''] ?? '#555555';
      return {
        name,
        type: 'line',
        data: points.map((point) => [...point]),
        symbol: isOurs(name) ? 'circle' : 'emptyCircle',
        symbolSize: 7,
        lineStyle: { color, width: 2, type: isOurs(name) ? 'solid' : 'dashed' },
        itemStyle: { color },
      };
    }),
  });
}

export interface Panel {
  readonly yName: string;
  readonly isLogarithmic?: boolean;
  readonly lines: readonly (Line & { readonly color: string; readonly isDashed?: boolean })[];
}

/** Panels one above the other, over the same linear axis. Lines of one name share a legend entry. */
export function panelPlot(title: string, xName: string, panels: readonly Panel[]): string {
  const top = (panel: number): number => 50 + PANEL_HEIGHT * panel;
  return render(top(panels.length) + 30, {
    title: { ...TITLE, text: title },
    legend: panels.map(({ lines }, i) => ({
      orient: 'vertical',
      left: WIDTH - 175,
      top: top(i),
      textStyle: TEXT,
      icon: 'rect',
      itemWidth: 24,
      itemHeight: 3,
      data: [...new Set(lines.map(({ name }) => name))],
    })),
    grid: panels.map((_, i) => ({ left: 80, right: 190, top: top(i), height: PANEL_HEIGHT - 45 })),
    xAxis: panels.map((_, gridIndex) => ({
      type: 'value',
      gridIndex,
      max: 'dataMax',
      axisLabel: TEXT,
      splitLine: { show: false },
      ...(gridIndex === panels.length - 1
        ? { name: xName, nameLocation: 'middle', nameGap: 28, nameTextStyle: TEXT }
        : {}),
    })),
    yAxis: panels.map(({ yName, isLogarithmic }, gridIndex) => ({
      type: isLogarithmic === true ? 'log' : 'value',
      gridIndex,
      name: yName,
      nameLocation: 'middle',
      nameGap: 52,
      nameTextStyle: TEXT,
      splitNumber: 3,
      axisLabel: { ...TEXT, formatter: (value: number) => value.toLocaleString('en') },
      splitLine: { lineStyle: { color: '#dddddd' } },
    })),
    series: panels.flatMap(({ lines }, panel) =>
      lines.map(({ name, points, color, isDashed }) => ({
        name,
        type: 'line',
        xAxisIndex: panel,
        yAxisIndex: panel,
        data: points.map((point) => [...point]),
        symbol: 'none',
        lineStyle: { color, width: 1.6, type: isDashed === true ? 'dashed' : 'solid' },
        itemStyle: { color },
      })),
    ),
  });
}

function isOurs(name: string): boolean {
  return name.startsWith('asynchia');
}

function render(height: number, option: echarts.EChartsCoreOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  chart.setOption({ animation: false, backgroundColor: '#ffffff', ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
