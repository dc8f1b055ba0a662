import { formatSummary, MEASURES, type Measurements, type MeasureName } from '../instruments/measurements.ts';

/** The measures that were taken of any subject, in the order of all. */
export function measuresOf({ subjects }: Measurements): MeasureName[] {
  const names = Object.keys(MEASURES) as MeasureName[];
  return names.filter((name) => [...subjects.values()].some((values) => values[name] !== undefined));
}

/** `median (min–max)`: a row for each measure, a column for each subject, their names first. */
export function cellsOf(measurements: Measurements): string[][] {
  const subjects = [...measurements.subjects.keys()];
  const rows = measuresOf(measurements).map((name) => [
    `${MEASURES[name].title}, ${MEASURES[name].unit}`,
    ...subjects.map((subject) => {
      const summary = measurements.summaryOf(subject, name);
      return summary === undefined ? '–' : formatSummary(summary, name);
    }),
  ]);
  return [['', ...subjects], ...rows];
}

/** The cells as Markdown. */
export function renderTable(measurements: Measurements): string {
  const cells = cellsOf(measurements);
  const widths =
    cells[0]?.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0))) ?? [];
  const lineOf = (row: readonly string[]) =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [head = [], ...body] = cells;
  return [lineOf(head), rule, ...body.map(lineOf)].join('\n');
}
