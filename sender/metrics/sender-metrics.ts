/**
 * What one sender knows of itself, as Prometheus metrics. The numbers are read when somebody asks. What all senders have done
 * together is in the snapshot of the monitor (snapshot-metrics.ts): there each attempt and each outcome counts once.
 */
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client';
import { BUCKETS_SECONDS } from '../../shared/pipeline/metrics/buckets.ts';
import type { Journal } from '../recording/journal.ts';
import type { Recorder } from '../recording/recorder.ts';
import type { SmsSender } from '../sending/sms-sender.ts';
import type { DurationTally, SenderTally } from './tally.ts';

/** The parts of a sender that know. */
export interface SenderParts {
  readonly tally: SenderTally;
  readonly sender: Pick<SmsSender, 'load'>;
  readonly recorder: Pick<Recorder, 'storesAwayMs'>;
  readonly journal: Pick<Journal, 'unconfirmedCount'>;
  /** True while every connection to RabbitMQ is there. */
  readonly isConnected: () => boolean;
}

/** One number, or one for each value of a label. */
type Read = (parts: SenderParts) => number | Readonly<Record<string, number>>;
/** A name may end with the label: `name{label}`. */
type Row = readonly [name: string, help: string, read: Read];

const COUNTERS: readonly Row[] = [
  [
    'redial_sender_attempts_total{result}',
    'attempts that the gateway has answered, also those that are made again',
    ({ tally }) => tally.attempts,
  ],
  [
    'redial_sender_throttled_total',
    'answers of the gateway that said "not now"',
    ({ sender }) => sender.load.throttledCount,
  ],
  [
    'redial_sender_retried_total',
    'SMS that were put into the queue of their next attempt',
    ({ tally }) => tally.retriedCount,
  ],
  [
    'redial_sender_held_total',
    'SMS that were put into a hold queue without an attempt',
    ({ tally }) => tally.heldCount,
  ],
  [
    'redial_sender_parked_total',
    'messages that were parked, those of the journal included',
    ({ tally }) => tally.parkedCount,
  ],
  [
    'redial_sender_outcomes_stored_total{status}',
    'outcomes that this sender has stored in S3 and counted',
    ({ tally }) => tally.stored,
  ],
];
const GAUGES: readonly Row[] = [
  ['redial_sender_attempts_in_flight', 'SMS that are with the gateway', ({ sender }) => sender.load.inFlight],
  [
    'redial_sender_gateway_paused',
    '1 while this sender begins no SMS because the gateway throttles',
    ({ sender }) => (sender.load.isGatewayPaused ? 1 : 0),
  ],
  [
    'redial_sender_journal_unconfirmed',
    'journal lines that RabbitMQ has not confirmed yet',
    ({ journal }) => journal.unconfirmedCount,
  ],
  [
    'redial_sender_store_away_seconds{store}',
    'how long nothing has succeeded of what this sender tried in the store; 0 where nothing failed',
    ({ recorder }) => {
      const { redis, s3 } = recorder.storesAwayMs;
      return { redis: redis / 1_000, s3: s3 / 1_000 };
    },
  ],
  [
    'redial_sender_rabbitmq_up',
    '1 while every connection to RabbitMQ is there',
    ({ isConnected }) => (isConnected() ? 1 : 0),
  ],
];
const HISTOGRAMS: readonly (readonly [string, string, (tally: SenderTally) => DurationTally])[] = [
  ['redial_sender_processing_seconds', 'how long the gateway took', ({ processing }) => processing],
  [
    'redial_sender_lateness_seconds',
    'start of an attempt minus the moment it was due, where it had to wait for one',
    ({ lateness }) => lateness,
  ],
];

/** A registry whose metrics read the parts at each scrape. */
export function registerSenderMetrics(parts: SenderParts): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  for (const [named, help, read] of COUNTERS) {
    const { name, labelNames } = splitName(named);
    new Counter({
      ...{ name, help, labelNames, registers },
      // A counter cannot be set. It begins anew, which nobody sees between two scrapes.
      collect() {
        this.reset();
        for (const [labels, value] of valuesOf(labelNames, read(parts))) this.inc(labels, value);
      },
    });
  }
  for (const [named, help, read] of GAUGES) {
    const { name, labelNames } = splitName(named);
    new Gauge({
      ...{ name, help, labelNames, registers },
      collect() {
        for (const [labels, value] of valuesOf(labelNames, read(parts))) this.set(labels, value);
      },
    });
  }
  for (const [name, help, read] of HISTOGRAMS)
    registry.registerMetric(histogramOf(name, help, () => read(parts.tally)));
  return registry;
}

function splitName(named: string): { readonly name: string; readonly labelNames: string[] } {
  const [name = '', label] = named.split(/[{}]/);
  return { name, labelNames: label === undefined ? [] : [label] };
}

function valuesOf([label]: readonly string[], read: ReturnType<Read>): [Record<string, string>, number][] {
  if (typeof read === 'number') return [[{}, read]];
  return Object.entries(read).map(([value, number]) => [{ [label ?? '']: value }, number]);
}

/** As prom-client asks a metric for its values: its own histogram counts by itself, which costs an SMS ten times as much. */
function histogramOf(name: string, help: string, read: () => DurationTally): Metric {
  const get = async () => {
    const { counts, sumMs } = read();
    let below = 0;
    const buckets = counts.map((count, index) => {
      below += count;
      return {
        metricName: `${name}_bucket`,
        labels: { le: BUCKETS_SECONDS[index] ?? '+Inf' },
        value: below,
      };
    });
    const sums = [
      { metricName: `${name}_sum`, labels: {}, value: sumMs / 1_000 },
      { metricName: `${name}_count`, labels: {}, value: below },
    ];
    return { name, help, type: 'histogram', aggregator: 'sum', values: [...buckets, ...sums] };
  };
  return { name, get, reset: () => {} } as unknown as Metric;
}
