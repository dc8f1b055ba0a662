import { expect, test } from 'vitest';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import { type RunFacts, renderRunSummary } from './run-summary.ts';

const snapshot: Snapshot = {
  at: '2026-11-22T10:00:00.000Z',
  accepted: 1_000,
  sent: 993,
  failed: 7,
  parked: 0,
  known: 0,
  inProgress: 0,
  attempts: 1_252,
  attemptsFailed: 259,
  attemptsByNumber: { '10': 1, '2': 204, '1': 1_000, '3': 41, '4': 6 },
  meanProcessingSeconds: 0.2034,
  processingSeconds: { p50: 0.1, p95: 0.5, p99: 0.9 },
  attemptsPerSecond: 0,
  sentPerSecond: 0,
  failureRate: 0.2069,
  retryLatenessSeconds: { p50: 0.004, p99: 0.031, max: 1.24 },
  repeatedSends: 0,
  idConflicts: 0,
  queues: {
    ...{ work: 0, due: 0, journal: 0, parked: 0, deadLetters: 0, later: 0 },
    retry: [1, 2, 90].map((delaySeconds, index) => ({ attempt: index + 1, delaySeconds, messages: 0 })),
    ...{ high: 0, low: 0, hold: [], asOfSeconds: 0 },
  },
  state: 'ok',
  run: 'demo',
  seenSenders: null,
  problems: [],
  senders: 3,
  lastTenSeconds: null,
  lastMinute: null,
  ...{
    unknown: 0,
    failedByReason: { timeout: 2, 'carrier busy': 5 },
    expired: 0,
    cancelled: 0,
    held: 0,
    throttled: 0,
  },
  gateway: { state: 'open', until: null },
};
const facts: RunFacts = {
  snapshot,
  seconds: 12.34,
  senders: 3,
  configured: { meanProcessingTime: 200, failureRate: 0.2 },
  places: ['s3://redial-outcomes/success/, failed/, parked/'],
  showOneOutcome: 'head -n 1 .redial/s3/one',
};
const plain = (_style: string, text: string) => text;

test('the summary tells outcomes, attempts, measurements, places and the books', () => {
  expect(renderRunSummary(facts, plain)).toMatchInlineSnapshot(`
    "Run demo
      1,000 SMS through 3 senders in 12.3 s (81 per second)

    Outcomes
      accepted       1,000            confirmed by RabbitMQ
      sent             993   99.3 %   the carrier took it
      failed             7    0.7 %   given up after the last attempt
      parked             0    0.0 %   could not be read

    Failed because of
      carrier busy                     5
      timeout                          2

    Attempts 1,252 in all
      1st                    1,000  ████████████████████████████████
      2nd   after 1s           204  ██████▌
      3rd   after 2s            41  █▎
      4th   after 90s            6  ▎
      10th                       1  ▏

    Behaviour                 measured    configured
      mean processing time     0.203 s       0.200 s
      failure rate              20.7 %        20.0 %
      retries came late by  p50 4 ms, p99 31 ms, at most 1.2 s

    Where the outcomes are
      s3://redial-outcomes/success/, failed/, parked/
      see one:
        head -n 1 .redial/s3/one

    Books balance: accepted 1,000 = sent 993 + failed 7 + parked 0
    "
  `);
});

test('a summary of usual numbers fits into 80 columns', () => {
  const run = 'start-20261128-213449-68191f';
  const large = { ...snapshot, accepted: 123_456, sent: 120_000, failed: 3_456, attempts: 234_567, run };
  const lines = renderRunSummary({ ...facts, snapshot: large, senders: 64, seconds: 1_234.5 }, plain).split(
    '\n',
  );
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
});

test('only what is known is told of a run whose end alone was seen', () => {
  const summary = renderRunSummary({ snapshot, senders: null }, plain);
  expect(summary).toContain('  1,000 SMS through an unknown number of senders\n');
  expect(summary).toMatch(/measured\n {2}mean processing time +0\.203 s\n {2}failure rate +20\.7 %\n/);
  expect(summary).not.toMatch(/configured|Where the outcomes are/);
});

test('where the schedule was changed, no wait is told that may be another one', () => {
  const retry = [...snapshot.queues.retry, { attempt: 1, delaySeconds: 30, messages: 0 }];
  const changed = { ...snapshot, queues: { ...snapshot.queues, retry } };
  expect(renderRunSummary({ ...facts, snapshot: changed }, plain)).toMatch(/2nd +after a wait +204/);
});

test('books that do not balance are said, with what is missing', () => {
  const summary = renderRunSummary({ ...facts, snapshot: { ...snapshot, sent: 990 } }, plain);
  expect(summary.trimEnd().split('\n').at(-1)).toBe(
    'Books do not balance: accepted 1,000, but sent 990 + failed 7 + parked 0; 3 without an outcome',
  );
});

test('what is unknown is called so, and what is odd is told', () => {
  const odd = {
    ...snapshot,
    meanProcessingSeconds: null,
    retryLatenessSeconds: { p50: null, p99: null, max: null },
    repeatedSends: 3,
    problems: ['Redis does not answer'],
  };
  const summary = renderRunSummary({ ...facts, snapshot: odd }, plain);
  expect(summary).toContain('p50 unknown');
  expect(summary).toMatch(/mean processing time +unknown/);
  expect(summary).toMatch(/repeated sends +3\n {2}Redis does not answer/);
});

test('what a server says of itself commands no terminal', () => {
  const said = { ...facts, snapshot: { ...snapshot, problems: ['RabbitMQ does not answer: \u001b[2J'] } };
  expect(renderRunSummary(said, plain)).toContain('RabbitMQ does not answer: \\u001b[2J');
});
