import { type Summary, summarize } from './statistics.ts';

interface Measure {
  readonly title: string;
  readonly unit: string;
  readonly digits: number;
}

const rate = (title: string): Measure => ({ title, unit: 'SMS/s', digits: 0 });
const cpu = (title: string): Measure => ({ title, unit: 'µs/SMS', digits: 1 });
const ms = (title: string): Measure => ({ title, unit: 'ms', digits: 0 });
const seconds = (title: string): Measure => ({ title, unit: 's', digits: 2 });
const megabytes = (title: string): Measure => ({ title, unit: 'MB', digits: 0 });
const bytes = (title: string): Measure => ({ title, unit: 'bytes', digits: 0 });
const cores = (title: string): Measure => ({ title, unit: 'cores', digits: 2 });
const ratio = (title: string): Measure => ({ title, unit: '×', digits: 2 });

/** Everything that is measured, in the order of the tables. */
export const MEASURES = {
  smsPerSecond: rate('rate'),
  steadySmsPerSecond: rate('steady rate'),
  totalSeconds: seconds('total time'),
  drainSeconds: seconds('drain time without failures'),
  besideSchedule: ratio('total / (schedule + drain time)'),
  retryCount: { title: 'retries looked at', unit: 'attempts', digits: 0 },
  freshWaitingCount: { title: 'fresh SMS waiting at first', unit: 'SMS', digits: 0 },
  latenessP50Ms: ms('lateness p50'),
  latenessP99Ms: ms('lateness p99'),
  latenessMaxMs: ms('lateness max'),
  answerP99Ms: ms('answer p99'),
  clientCpu: cpu('client CPU'),
  rabbitMqCpu: cpu('RabbitMQ CPU'),
  redisCpu: cpu('Redis CPU'),
  s3Cpu: cpu('S3 CPU'),
  totalCpu: cpu('CPU of all'),
  clientCores: cores('client'),
  rabbitMqCores: cores('RabbitMQ'),
  redisCores: cores('Redis'),
  s3Cores: cores('S3'),
  machineCores: cores('whole machine'),
  senderMegabytes: megabytes('sender memory'),
  apiMegabytes: megabytes('API memory'),
  rabbitMqMegabytes: megabytes('RabbitMQ memory'),
  redisMegabytes: megabytes('Redis memory'),
  rabbitMqBytesPerWaiting: bytes('RabbitMQ per waiting SMS'),
  redisBytesPerWaiting: bytes('Redis per waiting SMS'),
  redisBytesPerForgotten: bytes('Redis per SMS done and past KEEP_TIME'),
  eventLoopDelayP50Ms: { title: 'event-loop delay p50', unit: 'ms', digits: 1 },
  eventLoopDelayP99Ms: { title: 'event-loop delay p99', unit: 'ms', digits: 1 },
  startUpMs: ms('start-up'),
  startUpCpuMs: ms('CPU'),
} as const satisfies Record<string, Measure>;

export type MeasureName = keyof typeof MEASURES;

/** The values of one subject ("Redial", "bare amqplib"): one for each round. */
export type SubjectValues = Partial<Record<MeasureName, number[]>>;

/** What was measured for one question: subject by subject, measure by measure, round by round. */
export class Measurements {
  readonly subjects = new Map<string, SubjectValues>();
  /** What a figure alone does not say, as sentences. */
  readonly notes: string[] = [];

  add(subject: string, values: Partial<Record<MeasureName, number>>): void {
    const known = this.subjects.get(subject) ?? {};
    this.subjects.set(subject, known);
    for (const [name, value] of Object.entries(values) as [MeasureName, number][]) {
      const rounds = known[name] ?? [];
      known[name] = rounds;
      rounds.push(value);
    }
  }

  summaryOf(subject: string, measure: MeasureName): Summary | undefined {
    const values = this.subjects.get(subject)?.[measure];
    return values === undefined ? undefined : summarize(values);
  }
}

/** `median (min–max)` without the unit. */
export function formatSummary({ median, min, max }: Summary, measure: MeasureName): string {
  return `${formatValue(median, measure)} (${formatValue(min, measure)}–${formatValue(max, measure)})`;
}

export function formatValue(value: number, measure: MeasureName): string {
  const { digits } = MEASURES[measure];
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
