import { describe, expect, it } from 'vitest';
import { NOTHING_COUNTED } from '../../../tests/kit/nothing-counted.ts';
import { bucketOf } from '../../domain/histogram.ts';
import type { CounterReading, RunCounters, StoreMemory } from '../../ports/counter-reader.ts';
import type { QueueReadings } from '../../ports/queue-reader.ts';
import type { Known } from './last-known.ts';
import { NO_SENDER } from './problems.ts';
import { makeSnapshot, type SnapshotInput } from './snapshot.ts';

const NOW_MS = Date.parse('2026-11-22T10:00:00.000Z');

const SEEN = { id: 'a1', host: null, inFlight: null, attemptsPerSecond: null, lastSeenSeconds: 1 };

const DEMO: RunCounters = {
  ...NOTHING_COUNTED,
  announced: 1_000,
  met: 990,
  sent: 930,
  failed: 12,
  failedByReason: new Map([
    ['expired', 2],
    ['timeout', 9],
  ]),
  attempts: 1_180,
  attemptsFailed: 250,
  attemptsByNumber: new Map([
    [2, 180],
    [1, 1_000],
  ]),
  processingMsSum: 601_800,
  processingBuckets: new Map([[bucketOf(350), 1_180]]),
  latenessBuckets: new Map([[bucketOf(4), 180]]),
  maxLatenessMs: 120,
};

function counted(runs: Record<string, Partial<RunCounters>>, more: Partial<CounterReading> = {}) {
  const entries = Object.entries(runs).map(
    ([run, counters]) => [run, { ...NOTHING_COUNTED, ...counters }] as const,
  );
  const reading: CounterReading = {
    areValid: true,
    runs: new Map(entries),
    done: { counters: NOTHING_COUNTED, forgottenCount: 0, withInputConflict: [] },
    lastTenSeconds: new Map([['demo', { ...NOTHING_COUNTED, attempts: 952, sent: 781 }]]),
    lastMinute: new Map(),
    livingSenders: 5,
    silentSenders: 0,
    seenSenders: [SEEN],
    livingRecorders: 5,
    recordingTroubles: [],
    memory: { usedBytes: 1, maxBytes: 0, policy: 'noeviction' },
    ...{ conflictingIds: [], throttled: 0, pausedUntilMs: undefined },
    ...more,
  };
  return { kind: 'current', reading, askedAtMs: NOW_MS } as const;
}

function holding(messages: Record<string, number>, more: Partial<QueueReadings> = {}) {
  const counts = Object.entries({ 'sms.due': 0, ...messages });
  const queues = counts.map(([name, count]) => ({ name, ready: count, messages: count }));
  const reading = { queues, isComplete: true, readyAgeMs: 0, ...more };
  return { kind: 'current', reading, askedAtMs: NOW_MS - 250 } as const;
}

function snapshotOf(input: Partial<SnapshotInput>) {
  return makeSnapshot({
    nowMs: NOW_MS,
    prefix: 'sms',
    counters: counted({ demo: DEMO }),
    queues: holding({}),
    ...input,
  });
}

const silent = { kind: 'stale', lastReading: undefined, reason: 'connection refused' } as const;

it('a snapshot adds up the runs that are open and the sums of those that are done', () => {
  const done = { counters: { ...DEMO, announced: 942, met: 942 }, forgottenCount: 3, withInputConflict: [] };
  const snapshot = snapshotOf({
    counters: counted({ demo: DEMO, other: { announced: 2, sent: 1 } }, { done }),
  });
  expect(snapshot).toMatchObject({
    ...{ accepted: 1_944, sent: 1_861, failed: 24, inProgress: 59, attempts: 2_360, attemptsFailed: 500 },
    ...{ meanProcessingSeconds: 0.51, attemptsByNumber: { 1: 2_000, 2: 360 } },
    retryLatenessSeconds: { max: 0.12 },
  });
});

describe('a snapshot', () => {
  it('is the JSON that users rely on, in its order', () => {
    const snapshot = snapshotOf({
      queues: holding({
        ...{ 'sms.work': 3, 'sms.retry.1.5s': 40, 'sms.parked': 2 },
        ...{ 'sms.high': 2, 'sms.hold.16s': 1, 'sms.hold.4s': 3 },
      }),
    });
    expect(JSON.stringify(snapshot)).toBe(
      '{"at":"2026-11-22T10:00:00.000Z","accepted":1000,"sent":930,"failed":12,"parked":0,"known":0,"inProgress":58,' +
        '"attempts":1180,"attemptsFailed":250,"meanProcessingSeconds":0.51,' +
        '"processingSeconds":{"p50":0.344,"p95":0.344,"p99":0.344},' +
        '"attemptsPerSecond":95.2,"sentPerSecond":78.1,"failureRate":0.212,' +
        '"retryLatenessSeconds":{"p50":0.004,"p99":0.004,"max":0.12},' +
        '"queues":{"work":3,"due":0,"journal":0,"parked":2,"retry":[{"attempt":1,"delaySeconds":5,"messages":40}],"deadLetters":0,"later":0,' +
        '"high":2,"low":0,"hold":[{"delaySeconds":4,"messages":3},{"delaySeconds":16,"messages":1}],"asOfSeconds":0.25},' +
        '"senders":5,"state":"ok","repeatedSends":0,"idConflicts":0,"attemptsByNumber":{"1":1000,"2":180},' +
        '"lastTenSeconds":{"attemptsPerSecond":95.2,"sentPerSecond":78.1,"failureRate":0,' +
        '"processingSeconds":{"p50":null,"p95":null,"p99":null},"retryLatenessSeconds":{"p50":null,"p99":null}},' +
        '"lastMinute":{"attemptsPerSecond":0,"sentPerSecond":0,"failureRate":null,' +
        '"processingSeconds":{"p50":null,"p95":null,"p99":null},"retryLatenessSeconds":{"p50":null,"p99":null}},' +
        '"unknown":0,"failedByReason":{"timeout":9,"expired":2,"reason not recorded":1},"expired":2,"cancelled":0,' +
        '"held":4,"throttled":0,"gateway":{"state":"open","until":null},' +
        '"seenSenders":[{"id":"a1","host":null,"inFlight":null,"attemptsPerSecond":null,"lastSeenSeconds":1}],' +
        '"problems":[]}',
    );
  });

  it('accepts per run the larger of announced and met, so that one run cannot hide what another lost', () => {
    const { accepted, inProgress } = snapshotOf({
      counters: counted({ a: { announced: 10, met: 4, sent: 4 }, b: { announced: 0, met: 7, sent: 7 } }),
    });
    expect({ accepted, inProgress }).toEqual({ accepted: 17, inProgress: 6 });
  });

  it('never shows a negative number in progress', () => {
    const { accepted, inProgress } = snapshotOf({
      counters: counted({ a: { announced: 3, met: 3, sent: 4 } }),
    });
    expect({ accepted, inProgress }).toEqual({ accepted: 4, inProgress: 0 });
  });

  it('shows null where nothing was counted', () => {
    const snapshot = snapshotOf({ counters: counted({}) });
    expect(snapshot).toMatchObject({
      accepted: 0,
      meanProcessingSeconds: null,
      failureRate: null,
      processingSeconds: { p50: null, p95: null, p99: null },
      retryLatenessSeconds: { p50: null, p99: null, max: null },
    });
  });

  it('sorts the retry queues by attempt and delay, those of an old schedule too', () => {
    const queues = holding({
      'sms.retry.10.5s': 1,
      'sms.retry.2.30s': 2,
      'sms.retry.2.500ms': 3,
      'sms.retry.x': 9,
    });
    expect(snapshotOf({ queues }).queues.retry).toEqual([
      { attempt: 2, delaySeconds: 0.5, messages: 3 },
      { attempt: 2, delaySeconds: 30, messages: 2 },
      { attempt: 10, delaySeconds: 5, messages: 1 },
    ]);
  });

  it('tells one run alone, with the queues of all', () => {
    const snapshot = snapshotOf({
      counters: counted(
        { demo: DEMO, other: { announced: 7 } },
        { lastTenSeconds: new Map([['demo', { ...NOTHING_COUNTED, attempts: 5, sent: 2 }]]) },
      ),
      queues: holding({ 'sms.work': 7 }),
      run: 'other',
    });
    expect(snapshot).toMatchObject({ accepted: 7, attemptsPerSecond: 0, queues: { work: 7 }, run: 'other' });
  });

  it('says that nothing is known of a run that nobody has announced', () => {
    expect(snapshotOf({ run: 'typo' }).problems).toEqual([
      'nothing of run "typo" is counted: it has not begun, or its SMS have had their outcomes for longer than ' +
        'KEEP_TIME ("npx monitor --audit" reads them in S3)',
    ]);
  });
});

describe('the state', () => {
  const table: [string, Known<CounterReading>, Known<QueueReadings>, string][] = [
    ['both answer', counted({}), holding({}), 'ok'],
    ['the counters are not valid', counted({}, { areValid: false }), holding({}), 'rebuilding'],
    ['Redis does not answer', silent, holding({}), 'stale'],
    ['RabbitMQ does not answer', counted({}), silent, 'stale'],
    [
      'the counters are not valid and RabbitMQ does not answer',
      counted({}, { areValid: false }),
      silent,
      'stale',
    ],
    ['only the management API does not answer', counted({}), holding({}, { isComplete: false }), 'ok'],
  ];
  it.each(table)('when %s', (_, counters, queues, state) => {
    expect(snapshotOf({ counters, queues }).state).toBe(state);
  });

  it('keeps the last numbers of a server that does not answer any more, and says which one', () => {
    const snapshot = snapshotOf({
      counters: { ...silent, lastReading: counted({ demo: DEMO }).reading },
      queues: { ...silent, lastReading: holding({ 'sms.work': 3 }).reading },
    });
    expect(snapshot).toMatchObject({ accepted: 1_000, queues: { work: 3 }, senders: 5 });
    expect(snapshot.problems).toEqual([
      'Redis does not answer: connection refused',
      'RabbitMQ does not answer: connection refused',
    ]);
  });

  it('shows null for what was never told', () => {
    expect(snapshotOf({ counters: silent, queues: silent })).toMatchObject({
      accepted: null,
      inProgress: null,
      attempts: null,
      attemptsPerSecond: null,
      senders: null,
      queues: {
        work: null,
        due: null,
        journal: null,
        parked: null,
        retry: [],
        deadLetters: null,
        later: null,
        ...{ high: null, low: null, hold: [] },
        asOfSeconds: null,
      },
      ...{ unknown: null, failedByReason: {}, expired: null, cancelled: null },
      ...{ held: null, throttled: null, gateway: null },
    });
  });
});

describe('the operator is told', () => {
  const noSender = { livingSenders: 0 };
  it.each([
    ...[['sms.work'], ['sms.due'], ['sms.journal'], ['sms.retry.1.5s']],
    ...[['sms.high'], ['sms.low'], ['sms.hold.16s']],
  ])('that no sender runs while something waits in %s', (name) => {
    const problems = snapshotOf({
      counters: counted({}, noSender),
      queues: holding({ [name]: 1 }),
    }).problems;
    expect(problems[0]).toBe(NO_SENDER);
  });

  it('of SMS that wait in a queue and are in no book yet, which are not in progress either', () => {
    const queues = holding({ 'sms.work': 50, 'sms.retry.1.5s': 10, 'sms.journal': 100 });
    const snapshot = snapshotOf({ queues });
    expect(snapshot).toMatchObject({ accepted: 1_000, inProgress: 58 });
    expect(snapshot.problems).toEqual([
      '2 SMS wait in the queues and are not among those in progress yet: published by another client than the ' +
        'producer, published again (also by a sender that died before it acknowledged), or their announcement is not ' +
        'recorded yet',
    ]);
    // Those of other runs are in progress too.
    const counters = counted({ demo: DEMO, other: { announced: 2 } });
    expect(snapshotOf({ counters, queues, run: 'demo' }).problems).toEqual([]);
  });

  it('that no retry comes back where the due queue is gone, with what is held in the retry queues', () => {
    const queue = { name: 'sms.retry.1.5s', ready: 3, messages: 58 };
    const reading = { queues: [queue], isComplete: true, readyAgeMs: 0 };
    const { queues, problems } = snapshotOf({ queues: { kind: 'current', reading, askedAtMs: NOW_MS } });
    expect(queues.retry).toEqual([{ attempt: 1, delaySeconds: 5, messages: 58 }]);
    expect(problems).toEqual([expect.stringContaining('the queue sms.due does not exist')]);
  });

  it('that no SMS comes back where the due queue is gone, with what waits in the hold queues', () => {
    const queue = { name: 'sms.hold.64s', ready: 3, messages: 58 };
    const reading = { queues: [queue], isComplete: true, readyAgeMs: 0 };
    const snapshot = snapshotOf({ queues: { kind: 'current', reading, askedAtMs: NOW_MS } });
    expect(snapshot.held).toBe(58);
    expect(snapshot.problems).toEqual([expect.stringContaining('the queue sms.due does not exist')]);
  });

  it.each([
    ['of a carrier that takes nothing for a while', 5_001, 1],
    ['nothing of a pause that is soon over', 5_000, 0],
  ])('%s', (_, pauseMs, problemCount) => {
    const pausedUntilMs = NOW_MS + pauseMs;
    const snapshot = snapshotOf({ counters: counted({ demo: DEMO }, { pausedUntilMs, throttled: 3 }) });
    expect(snapshot).toMatchObject({
      throttled: 3,
      gateway: { state: 'paused', until: new Date(pausedUntilMs).toISOString() },
    });
    expect(snapshot.problems.length).toBe(problemCount);
    const time = new Date(pausedUntilMs).toTimeString().slice(0, 8);
    if (problemCount > 0) expect(snapshot.problems[0]).toContain(`the carrier takes nothing until ${time}`);
  });

  it('nothing of the gateway while Redis is away', () => {
    const { reading } = counted({ demo: DEMO }, { pausedUntilMs: NOW_MS + 60_000 });
    const snapshot = snapshotOf({ counters: { kind: 'stale', lastReading: reading, reason: 'gone' } });
    expect([snapshot.gateway, snapshot.problems]).toEqual([null, ['Redis does not answer: gone']]);
  });

  it('that recording is behind, and what its senders say about that', () => {
    const done = { demo: { announced: 1, sent: 1 } };
    const problemsWith = (journal: number, recordingTroubles: readonly string[]) =>
      snapshotOf({
        counters: counted(done, { recordingTroubles }),
        queues: holding({ 'sms.journal': journal }),
      }).problems;
    const away = 'S3 does not answer (connect ECONNREFUSED)';
    expect(problemsWith(999, [])).toEqual([]);
    expect(problemsWith(1_240, [])).toEqual(['recording is behind: 1,240 journal messages wait']);
    expect(problemsWith(1, [away, away])).toEqual([`recording is behind: 1 journal message waits; ${away}`]);
  });

  it('how old the numbers of the queues are', () => {
    const asOf = (input: Partial<SnapshotInput>) => snapshotOf(input).queues.asOfSeconds;
    expect(asOf({})).toBe(0.25);
    expect(asOf({ queues: holding({}, { readyAgeMs: 5_000 }) })).toBe(5.25);
    const lastReading = holding({}).reading;
    expect(asOf({ queues: { ...silent, lastReading, askedAtMs: NOW_MS - 60_000 } })).toBe(60);
  });

  it('that no sender runs while SMS are in progress', () => {
    expect(snapshotOf({ counters: counted({ demo: DEMO }, noSender) }).problems).toEqual([NO_SENDER]);
  });

  it('that a sender was killed or is cut off, and not that none runs before that is sure', () => {
    const problemsWith = (livingSenders: number, silentSenders: number) =>
      snapshotOf({ counters: counted({ demo: DEMO }, { livingSenders, silentSenders }) }).problems;
    const silence = 'given no sign of life for more than 5 s: killed, frozen, or cut off from Redis';
    expect(problemsWith(2, 1)).toEqual([`a sender has ${silence}`]);
    expect(problemsWith(0, 3)).toEqual([`3 senders have ${silence}`]);
  });

  it('nothing about senders when all is done, or only parked messages lie there', () => {
    const counters = counted({ demo: { announced: 1, sent: 1 } }, noSender);
    expect(snapshotOf({ counters, queues: holding({ 'sms.parked': 4 }) }).problems).toEqual([]);
  });

  it('what makes the counters valid, when no sender is there to do it', () => {
    const problemsWith = (livingSenders: number) =>
      snapshotOf({ counters: counted({}, { areValid: false, livingSenders }) }).problems;
    expect(problemsWith(0)).toEqual([expect.stringContaining('rebuilt from S3, when a sender runs')]);
    expect(problemsWith(1)).toEqual([]);
  });

  it('that Redis is full, and that it would drop what it counts', () => {
    const problemsWith = (memory: StoreMemory) =>
      snapshotOf({ counters: counted({ demo: { announced: 1, sent: 1 } }, { memory }) }).problems;
    const limit = { maxBytes: 640 * 2 ** 20, policy: 'noeviction' };
    expect(problemsWith({ ...limit, usedBytes: 600 * 2 ** 20 })).toEqual([]);
    expect(problemsWith({ ...limit, usedBytes: 640 * 2 ** 20 })).toEqual([
      expect.stringContaining('Redis is full (640 of 640 MiB): recording waits until there is room'),
    ]);
    expect(problemsWith({ ...limit, usedBytes: 1, policy: 'allkeys-lru' })).toEqual([
      expect.stringContaining('maxmemory-policy allkeys-lru'),
    ]);
  });

  it('that some senders cannot record, and that lines wait for a newer version', () => {
    const sick = (livingSenders: number) =>
      snapshotOf({
        counters: counted({ demo: { announced: 1, sent: 1 } }, { livingSenders, livingRecorders: 0 }),
      });
    expect(sick(1).problems).toEqual([expect.stringContaining('the only sender cannot record outcomes')]);
    expect(sick(3).problems).toEqual([expect.stringContaining('3 of 3 senders cannot record outcomes')]);
    const queues = holding({ 'sms.journal.later': 2 });
    const counters = counted({ demo: { announced: 1, sent: 1 } });
    expect(snapshotOf({ counters, queues }).problems).toEqual([
      expect.stringContaining('2 journal messages wait for a newer version of Redial'),
    ]);
  });

  it('that the management API is away and why', () => {
    const queues = holding({}, { isComplete: false, problem: 'HTTP status 503' });
    expect(snapshotOf({ queues }).problems).toEqual([
      'the management API does not answer (HTTP status 503), so of each queue only the ready messages are told',
    ]);
  });

  it('of runs that are done and were announced with different inputs, until they are forgotten', () => {
    const done = { counters: NOTHING_COUNTED, forgottenCount: 0, withInputConflict: ['may'] };
    expect(snapshotOf({ counters: counted({}, { done }) }).problems).toEqual([
      expect.stringContaining('run "may" announced with different inputs'),
    ]);
  });

  it('of runs announced with different inputs and of ids met with two contents', () => {
    const counters = counted({ demo: { ...DEMO, hasInputConflict: true, idConflicts: 2 } });
    expect(snapshotOf({ counters }).problems).toEqual([
      expect.stringContaining('run "demo" announced with different inputs'),
      expect.stringContaining('2 SMS were met again with the same id and another content'),
    ]);
  });
});
