import { formatSummary, MEASURES, type Measurements, type MeasureName } from '../instruments/measurements.ts';

/** The measures that were taken of any subject, in the order of all. */
export function measuresOf({ subjects }: Measurements): MeasureName[] {
  const names = Object.keys(MEASURES) as MeasureName[];
  return names.filter((name) => [...subjects.values()].some((values) => values[name] !== undefined));
}

/** A Markdown table of `median (min–max)`: a line for each measure, a column for each subject. */
export function describeTable(measurements: Measurements): string {
  const subjects = [...measurements.subjects.keys()];
  const rows = measuresOf(measurements).map((name) => [
    `${MEASURES[name].title}, ${MEASURES[name].unit}`,
    ...subjects.map((subject) => {
      const summary = measurements.summaryOf(subject, name);
      return summary === undefined ? '–' : formatSummary(summary, name);
    }),
  ]);
  const cells = [['', ...subjects], ...rows];
  const widths =
    cells[0]?.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0))) ?? [];
  const lineOf = (row: readonly string[]) =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [head = [], ...body] = cells;
  return [lineOf(head), rule, ...body.map(lineOf)].join('\n');
}
