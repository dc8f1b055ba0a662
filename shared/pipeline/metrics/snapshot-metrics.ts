/**
 * A snapshot as Prometheus metrics: base units, counters that end in `_total`, no id and no number as a label. A number that
 * is not known has no series: a 0 would say that nothing was counted.
 */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Percentiles, Snapshot } from '../../domain/snapshot.ts';

/** Name, help, and the number in the snapshot. */
type Row = readonly [name: string, help: string, read: (snapshot: Snapshot) => number | null];

const COUNTERS: readonly Row[] = [
  [
    'redial_accepted_total',
    'SMS that RabbitMQ has confirmed, or that senders have met',
    ({ accepted }) => accepted,
  ],
  ['redial_sent_total', 'SMS that the carrier took', ({ sent }) => sent],
  ['redial_parked_total', 'messages that could not be read', ({ parked }) => parked],
  ['redial_known_total', 'SMS that came again and were met in another run before', ({ known }) => known],
  ['redial_attempts_total', 'attempts that ended', ({ attempts }) => attempts],
  ['redial_attempts_failed_total', 'attempts that failed', ({ attemptsFailed }) => attemptsFailed],
  ['redial_attempts_unknown_total', 'attempts without a clear answer', ({ unknown }) => unknown],
  ['redial_throttled_total', 'how often the gateway has throttled a sender', ({ throttled }) => throttled],
  [
    'redial_repeated_sends_total',
    'sends of an SMS beyond those of its record',
    ({ repeatedSends }) => repeatedSends,
  ],
  ['redial_id_conflicts_total', 'SMS whose id belongs to another content', ({ idConflicts }) => idConflicts],
];
const GAUGES: readonly Row[] = [
  ['redial_in_progress', 'SMS that are accepted and have no outcome', ({ inProgress }) => inProgress],
  ['redial_senders', 'senders that live', ({ senders }) => senders],
  ['redial_problems', 'problems that the snapshot tells', ({ problems }) => problems.length],
  ['redial_snapshot_ok', '1 while all numbers are of now', ({ state }) => (state === 'ok' ? 1 : 0)],
  [
    'redial_gateway_paused',
    '1 while the gateway is paused',
    ({ gateway }) => gateway && (gateway.state === 'paused' ? 1 : 0),
  ],
  [
    'redial_queues_age_seconds',
    'how old the oldest number of a queue may be',
    ({ queues }) => queues.asOfSeconds,
  ],
];

/** Metrics of the newest snapshot that was set. */
export class SnapshotMetrics {
  readonly #rows: readonly (readonly [Counter | Gauge, Row[2]])[];
  readonly #failed: Counter;
  readonly #queues: Gauge;
  readonly #processing: Gauge;
  readonly #lateness: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#rows = [
      ...COUNTERS.map(([name, help, read]) => [new Counter({ name, help, registers }), read] as const),
      ...GAUGES.map(([name, help, read]) => [new Gauge({ name, help, registers }), read] as const),
    ];
    this.#failed = new Counter({
      ...{
        name: 'redial_failed_total',
        help: 'SMS that failed, by reason',
        labelNames: ['reason'],
        registers,
      },
    });
    this.#queues = new Gauge({
      ...{ name: 'redial_queue_messages', help: 'messages that wait', labelNames: ['queue'], registers },
    });
    this.#processing = new Gauge({
      name: 'redial_processing_seconds',
      help: 'how long attempts take, of the last minute',
      ...{ labelNames: ['quantile'], registers },
    });
    this.#lateness = new Gauge({
      name: 'redial_retry_lateness_seconds',
      help: 'start of a retry minus the moment it was due, of the last minute',
      ...{ labelNames: ['quantile'], registers },
    });
  }

  set(snapshot: Snapshot): void {
    for (const [metric, read] of this.#rows) {
      const value = read(snapshot);
      metric.remove();
      // A counter cannot be set. It begins anew, which nobody sees between two scrapes.
      if (value !== null) metric.inc(value);
    }
    this.#failed.reset();
    for (const [reason, count] of Object.entries(snapshot.failedByReason))
      this.#failed.inc({ reason }, count);
    this.#queues.reset();
    for (const [queue, messages] of depthsOf(snapshot)) this.#queues.set({ queue }, messages);
    setQuantiles(this.#processing, snapshot.lastMinute?.processingSeconds);
    setQuantiles(this.#lateness, snapshot.lastMinute?.retryLatenessSeconds);
  }
}

function setQuantiles(gauge: Gauge, percentiles: Partial<Percentiles> | undefined): void {
  gauge.reset();
  for (const [name, value] of Object.entries(percentiles ?? {}))
    if (typeof value === 'number') gauge.set({ quantile: String(Number(name.slice(1)) / 100) }, value);
}

function depthsOf({ queues }: Snapshot): [string, number][] {
  const { work, due, high, low, journal, parked, deadLetters, later } = queues;
  const single = {
    work,
    due,
    high,
    low,
    journal,
    parked,
    'dead-letters': deadLetters,
    'journal.later': later,
  };
  return [
    ...Object.entries(single).filter((each): each is [string, number] => each[1] !== null),
    ...queues.retry.map(({ attempt, delaySeconds, messages }): [string, number] => [
      `retry.${attempt}.${delaySeconds}s`,
      messages,
    ]),
    ...queues.hold.map(({ delaySeconds, messages }): [string, number] => [`hold.${delaySeconds}s`, messages]),
  ];
}
