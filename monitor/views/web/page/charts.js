/** The charts over time. uPlot draws them; what they show comes from the samples alone. */
import uPlot from '/uplot/uPlot.esm.js';
import { element } from './element.js';
import { count, duration, rate, UNKNOWN } from './figures.js';
import { failuresByReason, ratesOf, stacked, waitingByQueue } from './series.js';

const HEIGHT = 190;
/** So that a minute of a first run is not stretched over all of the width. */
const SHORTEST_SECONDS = 120;
const RATES = [
  ...[
    ['sent', 'Sent', '--sent'],
    ['failed', 'Failed', '--failed'],
    ['retried', 'Retried', '--retry-1'],
  ],
];
const RUNGS = 6;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
/** `50`, `0.4` */
const short = (value) => (Number.isInteger(value) ? count(value) : rate(value));
const shown = (format) => (_, value) => (value === null || value === undefined ? UNKNOWN : format(value));

export class Charts {
  #series;
  #spanSeconds = 900;
  #charts = new Map();

  /** @param {import('./series.js').Series} series */
  constructor(series) {
    this.#series = series;
    element('span').addEventListener('change', ({ target }) => {
      if (!(target instanceof HTMLInputElement)) return;
      this.#spanSeconds = Number(target.value);
      this.draw();
    });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#redraw());
    new ResizeObserver(() => this.#resize()).observe(element('charts'));
  }

  draw() {
    const samples = this.#series.within(this.#spanSeconds);
    if (samples.length === 0) return;
    const times = samples.map(({ at }) => at / 1_000);
    this.#drawLines('chart-rates', times, short, ratesAsLines(samples));
    this.#drawLines('chart-processing', times, duration, [
      lineOf('p50', '--p50', samples, ({ processing }) => processing[0]),
      lineOf('p95', '--p95', samples, ({ processing }) => processing[1]),
      lineOf('p99', '--p99', samples, ({ processing }) => processing[2]),
    ]);
    this.#drawLines('chart-lateness', times, duration, [
      lineOf('p50', '--p50', samples, ({ lateness }) => lateness[0]),
      lineOf('p99', '--p99', samples, ({ lateness }) => lateness[1]),
    ]);
    this.#drawWaiting(times, samples);
    this.#drawReasons(times, samples);
  }

  #drawWaiting(times, samples) {
    const queues = waitingByQueue(samples).map(({ attempt, delaySeconds, messages }) => ({
      label: `${attempt}: ${duration(delaySeconds)}`,
      values: messages,
    }));
    this.#drawStack('chart-waiting', times, count, queues);
  }

  #drawReasons(times, samples) {
    const reasons = failuresByReason(samples).map(({ reason, perSecond }) => ({
      label: reason,
      values: perSecond,
    }));
    element('reasons-over-time').hidden = reasons.length === 0;
    if (reasons.length > 0) this.#drawStack('chart-reasons', times, short, reasons);
  }

  /** Parts on top of one another; the legend tells the value of each. */
  #drawStack(id, times, format, parts) {
    // What is not known has no height.
    const tops = stacked(parts.map(({ values }) => values.map((value) => value ?? 0)));
    const lines = parts.map(({ label, values }, index) => ({
      label,
      colour: `--retry-${(index % RUNGS) + 1}`,
      values: tops[index],
      ofItself: values,
    }));
    this.#drawLines(id, times, format, lines, true);
  }

  /** @param areStacked lines in their order, each filled down to the one before */
  #drawLines(id, times, format, lines, areStacked = false) {
    // uPlot fills between lines that are next to each other; what is drawn last would hide the others.
    const drawn = areStacked ? [...lines].reverse() : lines;
    const data = [times, ...drawn.map(({ values }) => values)];
    const shape = drawn.map(({ label }) => label).join('|');
    const known = this.#charts.get(id);
    if (known?.entry.shape === shape) {
      known.entry.own = drawn;
      known.chart.setData(data, false);
      this.#setScale(known.chart, times);
      return;
    }
    known?.chart.destroy();
    const place = element(id);
    const entry = { shape, own: drawn };
    const chart = new uPlot(this.#optionsOf(place, format, entry, areStacked), data, place);
    this.#charts.set(id, { entry, chart });
    this.#setScale(chart, times);
  }

  /** @returns {import('/uplot/uPlot.esm.js').Options} */
  #optionsOf(place, format, entry, areStacked) {
    const axis = {
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
    };
    return {
      width: place.clientWidth,
      height: HEIGHT,
      cursor: { y: false, points: { show: !areStacked } },
      scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] } },
      axes: [
        {
          ...axis,
          values: (_, ticks) => ticks.map((tick) => clockOf(tick, ticks[1] - ticks[0] < 60)),
          space: 72,
        },
        { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : format(tick))) },
      ],
      series: [
        { label: 'Time', value: (chart, __, ___, at) => clockOf(chart.data[0].at(at ?? -1), true) },
        ...entry.own.map(({ label, colour: name }, index) => ({
          label,
          stroke: colour(name),
          width: areStacked ? 1 : 2,
          ...(areStacked ? { fill: colour(name) } : {}),
          points: { show: false },
          spanGaps: false,
          value: (_, __, ___, at) => {
            const { ofItself, values } = entry.own[index];
            return shown(format)(_, (ofItself ?? values)[at ?? entry.own[index].values.length - 1]);
          },
        })),
      ],
    };
  }

  #setScale(chart, times) {
    const max = times.at(-1);
    const min = Math.max(max - this.#spanSeconds, Math.min(times[0], max - SHORTEST_SECONDS));
    chart.setScale('x', { min, max });
    // While nobody points at a moment, the legend tells the newest one.
    if (chart.cursor.left < 0) chart.setLegend({ idx: times.length - 1 }, false);
  }

  #resize() {
    for (const [id, { chart }] of this.#charts)
      chart.setSize({ width: element(id).clientWidth, height: HEIGHT });
  }

  #redraw() {
    for (const { chart } of this.#charts.values()) chart.destroy();
    this.#charts.clear();
    this.draw();
  }
}

function ratesAsLines(samples) {
  return RATES.map(([field, label, name]) => ({
    label,
    colour: name,
    values: ratesOf(samples, (sample) => sample[field]),
  }));
}

function lineOf(label, name, samples, read) {
  return { label, colour: name, values: samples.map(read) };
}

function clockOf(seconds, isExact = false) {
  return new Date(seconds * 1_000).toTimeString().slice(0, isExact ? 8 : 5);
}
