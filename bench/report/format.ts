/** Numbers, for people. */
import type { Summary } from '../rounds';

/** Three digits that mean something, and thousands apart. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (value === 0) return '0';
  const digits = Math.min(3, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
  return value.toLocaleString('en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** Half the spread, in per cent of the median; nothing where there was only one round. */
function spread({ median, low, high, values }: Summary): string {
  if (values.length < 2 || median === 0) return '';
  return ` ±${Math.round((100 * (high - low)) / 2 / Math.abs(median))}%`;
}

export function withSpread(summary: Summary): string {
  return number(summary.median) + spread(summary);
}

export function ratio(summary: Summary): string {
  return `${summary.median.toFixed(2)}×${spread(summary)}`;
}

/** The lowest and the highest that four of five rounds were between. */
export function range({ low, high }: Summary): string {
  return `${number(low)} to ${number(high)}`;
}
