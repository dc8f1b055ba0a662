import type { Measurements, MeasureName } from '../instruments/measurements.ts';

interface Figure {
  readonly subject: string;
  readonly measure: MeasureName;
}

/** Something that must be reached, as the median of all rounds. */
export interface Threshold {
  readonly question: string;
  readonly sentence: string;
  readonly figure: Figure;
  /** Divides the figure. */
  readonly beside?: Figure;
  readonly atLeast?: number;
  readonly atMost?: number;
  readonly unit: string;
  /** Compares what was measured in one session, so that it means something on any machine and in a short run. */
  readonly isRatio: boolean;
  /** Wished for: nothing is missed without it. */
  readonly isStretch?: boolean;
}

const REDIAL = 'Redial';
const BARE = 'bare amqplib';

export const THRESHOLDS: readonly Threshold[] = [
  {
    question: 'publish',
    sentence: 'the rate, beside bare amqplib',
    figure: { subject: REDIAL, measure: 'smsPerSecond' },
    beside: { subject: BARE, measure: 'smsPerSecond' },
    ...{ atLeast: 0.95, unit: '×', isRatio: true },
  },
  {
    question: 'publish',
    sentence: 'client CPU per SMS, beside bare amqplib',
    figure: { subject: REDIAL, measure: 'clientCpu' },
    beside: { subject: BARE, measure: 'clientCpu' },
    ...{ atMost: 1.3, unit: '×', isRatio: true },
  },
  {
    question: 'drain',
    sentence: 'the rate, beside bare amqplib',
    figure: { subject: REDIAL, measure: 'smsPerSecond' },
    beside: { subject: BARE, measure: 'smsPerSecond' },
    ...{ atLeast: 0.5, unit: '×', isRatio: true },
  },
  {
    question: 'drain',
    sentence: 'the rate, beside bare amqplib',
    figure: { subject: REDIAL, measure: 'smsPerSecond' },
    beside: { subject: BARE, measure: 'smsPerSecond' },
    ...{ atLeast: 0.7, unit: '×', isRatio: true, isStretch: true },
  },
  {
    question: 'retries',
    sentence: 'lateness p99, paced',
    figure: { subject: 'paced', measure: 'latenessP99Ms' },
    ...{ atMost: 20, unit: 'ms', isRatio: false },
  },
  {
    question: 'retries',
    sentence: 'lateness p99 in the burst',
    figure: { subject: 'burst', measure: 'latenessP99Ms' },
    ...{ atMost: 250, unit: 'ms', isRatio: false },
  },
  {
    question: 'retries',
    sentence: 'lateness p99 behind fresh SMS',
    figure: { subject: 'behind fresh', measure: 'latenessP99Ms' },
    ...{ atMost: 250, unit: 'ms', isRatio: false },
  },
  {
    question: 'retries',
    sentence: 'total time of the burst, beside the schedule and the drain time',
    figure: { subject: 'burst', measure: 'besideSchedule' },
    ...{ atMost: 1.1, unit: '×', isRatio: true },
  },
  {
    question: 'waiting',
    sentence: 'the rate with most waiting, beside none',
    figure: { subject: 'most waiting', measure: 'smsPerSecond' },
    beside: { subject: 'none waiting', measure: 'smsPerSecond' },
    ...{ atLeast: 0.9, unit: '×', isRatio: true },
  },
  {
    question: 'waiting',
    sentence: 'Redis per SMS in progress',
    figure: { subject: 'most waiting', measure: 'redisBytesPerWaiting' },
    ...{ atMost: 400, unit: 'bytes', isRatio: false },
  },
  {
    question: 'waiting',
    // The counters of the run itself are spread over its SMS.
    sentence: 'Redis per SMS done and past KEEP_TIME',
    figure: { subject: 'none waiting', measure: 'redisBytesPerForgotten' },
    ...{ atMost: 5, unit: 'bytes', isRatio: false },
  },
  {
    question: 'concurrency',
    sentence: 'the rate',
    figure: { subject: REDIAL, measure: 'smsPerSecond' },
    ...{ atLeast: 4_800, unit: 'SMS/s', isRatio: false },
  },
  {
    question: 'concurrency',
    sentence: 'resident memory of the sender',
    figure: { subject: REDIAL, measure: 'senderMegabytes' },
    ...{ atMost: 300, unit: 'MB', isRatio: false },
  },
  {
    question: 'concurrency',
    sentence: 'event-loop delay p99',
    figure: { subject: REDIAL, measure: 'eventLoopDelayP99Ms' },
    ...{ atMost: 50, unit: 'ms', isRatio: false },
  },
  {
    question: 'start-up',
    sentence: 'first attempt of `node dist/sender/main.js`',
    figure: { subject: 'node sender', measure: 'startUpMs' },
    ...{ atMost: 1_000, unit: 'ms', isRatio: false },
  },
  {
    question: 'api',
    sentence: 'the rate of `POST /messages`, beside a bare fastify route',
    figure: { subject: REDIAL, measure: 'smsPerSecond' },
    beside: { subject: 'bare fastify', measure: 'smsPerSecond' },
    ...{ atLeast: 0.5, unit: '×', isRatio: true },
  },
  {
    question: 'api',
    sentence: 'answer p99 of `POST /messages`',
    figure: { subject: REDIAL, measure: 'answerP99Ms' },
    ...{ atMost: 100, unit: 'ms', isRatio: false },
  },
  {
    question: 'api',
    sentence: 'the rate of NDJSON',
    figure: { subject: 'bulk', measure: 'smsPerSecond' },
    ...{ atLeast: 20_000, unit: 'SMS/s', isRatio: false },
  },
  {
    question: 'api',
    sentence: 'resident memory of the API beside NDJSON',
    figure: { subject: 'bulk', measure: 'apiMegabytes' },
    ...{ atMost: 200, unit: 'MB', isRatio: false },
  },
];

export interface Verdict {
  readonly threshold: Threshold;
  readonly value: number;
  readonly isReached: boolean;
  /** Missed by more than a fifth, too much even for a short run. */
  readonly isFarOff: boolean;
}

const TOLERANCE = 0.2;

/** Judges what was measured; thresholds of which nothing was measured are left out. */
export function judge(question: string, measurements: Measurements): Verdict[] {
  return THRESHOLDS.filter((threshold) => threshold.question === question).flatMap((threshold) => {
    const figure = medianOf(measurements, threshold.figure);
    const beside = threshold.beside === undefined ? 1 : medianOf(measurements, threshold.beside);
    if (figure === undefined || beside === undefined) return [];
    const value = figure / beside;
    const { atLeast = -Infinity, atMost = Infinity } = threshold;
    return {
      threshold,
      value,
      isReached: value >= atLeast && value <= atMost,
      isFarOff: value < atLeast * (1 - TOLERANCE) || value > atMost * (1 + TOLERANCE),
    };
  });
}

/** `drain: the rate, beside bare amqplib 0.55 ×, at least 0.5 ×: reached`. */
export function describeVerdict({ threshold, value, isReached }: Verdict): string {
  const { question, sentence, atLeast, atMost, unit, isStretch = false } = threshold;
  const bound = atLeast === undefined ? `at most ${format(atMost ?? 0)}` : `at least ${format(atLeast)}`;
  const wish = isStretch ? ' (a stretch)' : '';
  return `${question}: ${sentence} ${format(value)} ${unit}, ${bound} ${unit}${wish}: ${isReached ? 'reached' : 'missed'}`;
}

function format(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 2 });
}

function medianOf(measurements: Measurements, { subject, measure }: Figure): number | undefined {
  return measurements.summaryOf(subject, measure)?.median;
}
