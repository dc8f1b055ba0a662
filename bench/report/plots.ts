/** Plots as inline SVG: bars with the medians, a line from minimum to maximum, a dot for each round. */
import { formatValue, MEASURES, type Measurements, type MeasureName } from '../instruments/measurements.ts';
import { measuresOf } from './table.ts';

const LABEL_WIDTH = 130;
const PLOT_WIDTH = 260;
const VALUE_WIDTH = 90;
const WIDTH = LABEL_WIDTH + PLOT_WIDTH + VALUE_WIDTH;
const ROW_HEIGHT = 26;
const BAR_HEIGHT = 16;

/** CPU of these is stacked in one plot. */
const CPU_PARTS = ['clientCpu', 'rabbitMqCpu', 'redisCpu', 's3Cpu'] as const satisfies MeasureName[];
const CPU_COLOURS = ['#2f6f9f', '#e07a3f', '#b03a48', '#5b8c5a'];

/** One plot for each measure, and one of the CPU time by process. */
export function drawPlots(measurements: Measurements): string[] {
  const measures = measuresOf(measurements);
  const isStacked = (name: MeasureName) => name === 'totalCpu' || CPU_PARTS.some((part) => part === name);
  const bars = measures.filter((name) => !isStacked(name)).map((name) => drawBars(measurements, name));
  return measures.includes('totalCpu') ? [drawCpu(measurements), ...bars] : bars;
}

function drawBars(measurements: Measurements, name: MeasureName): string {
  const subjects = [...measurements.subjects].filter(([, values]) => values[name] !== undefined);
  const scale = scaleTo(Math.max(...subjects.flatMap(([, values]) => values[name] ?? [])));
  const rows = subjects.map(([subject, values], index) => {
    const summary = measurements.summaryOf(subject, name);
    if (summary === undefined) return '';
    const y = index * ROW_HEIGHT + ROW_HEIGHT / 2;
    const dots = (values[name] ?? []).map(
      (value) => `<circle cx="${scale(value)}" cy="${y}" r="2.5" fill="#123"/>`,
    );
    return [
      drawLabel(subject, y),
      drawBar(LABEL_WIDTH, scale(summary.median), y, '#7fb2d6', formatValue(summary.median, name)),
      `<line x1="${scale(summary.min)}" x2="${scale(summary.max)}" y1="${y}" y2="${y}" stroke="#123"/>`,
      ...dots,
      drawValue(formatValue(summary.median, name), y),
    ].join('');
  });
  return drawFigure(`${MEASURES[name].title}, ${MEASURES[name].unit}`, rows);
}

function drawCpu(measurements: Measurements): string {
  const medianOf = (subject: string, part: MeasureName) => measurements.summaryOf(subject, part)?.median;
  const subjects = [...measurements.subjects.keys()].filter(
    (each) => medianOf(each, 'totalCpu') !== undefined,
  );
  const partsOf = (subject: string) => CPU_PARTS.map((part) => medianOf(subject, part) ?? 0);
  const sumOf = (subject: string) => partsOf(subject).reduce((sum, value) => sum + value, 0);
  const scale = scaleTo(Math.max(...subjects.map(sumOf)));
  const rows = subjects.map((subject, index) => {
    const y = index * ROW_HEIGHT + ROW_HEIGHT / 2;
    let end = 0;
    const bars = partsOf(subject).map((value, part) => {
      const from = scale(end);
      end += value;
      const title = `${MEASURES[CPU_PARTS[part] ?? 'clientCpu'].title} ${formatValue(value, 'totalCpu')}`;
      return drawBar(from, scale(end), y, CPU_COLOURS[part] ?? '', title);
    });
    return [drawLabel(subject, y), ...bars, drawValue(formatValue(sumOf(subject), 'totalCpu'), y)].join('');
  });
  const legend = CPU_PARTS.map(
    (part, index) => `<span style="color:${CPU_COLOURS[index]}">■</span> ${MEASURES[part].title}`,
  );
  return drawFigure(`CPU time, ${MEASURES.totalCpu.unit}: ${legend.join(' ')}`, rows);
}

function drawFigure(caption: string, rows: readonly string[]): string {
  const height = rows.length * ROW_HEIGHT;
  const svg = `<svg viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">${rows.join('')}</svg>`;
  return `<figure><figcaption>${caption}</figcaption>${svg}</figure>`;
}

function drawLabel(text: string, y: number): string {
  return `<text x="${LABEL_WIDTH - 8}" y="${y + 4}" text-anchor="end">${escapeHtml(text)}</text>`;
}

function drawValue(text: string, y: number): string {
  return `<text x="${LABEL_WIDTH + PLOT_WIDTH + 8}" y="${y + 4}">${text}</text>`;
}

function drawBar(from: number, to: number, y: number, colour: string, title: string): string {
  const width = Math.max(0, to - from);
  return `<rect x="${from}" y="${y - BAR_HEIGHT / 2}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" fill="${colour}"><title>${title}</title></rect>`;
}

/** From a value to where it lies between the labels and the figures. */
function scaleTo(largest: number): (value: number) => number {
  return (value) => LABEL_WIDTH + (largest <= 0 ? 0 : (Math.max(0, value) / largest) * PLOT_WIDTH);
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
