import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import type { Snapshot } from '../../domain/snapshot.ts';
import { SnapshotMetrics } from './snapshot-metrics.ts';

const NOTHING = { p50: null, p95: null, p99: null };
const UNKNOWN: Snapshot = {
  at: '2026-11-22T10:00:00.000Z',
  ...{ accepted: null, sent: null, failed: null, parked: null, known: null, inProgress: null },
  ...{ attempts: null, attemptsFailed: null, meanProcessingSeconds: null, processingSeconds: NOTHING },
  ...{ attemptsPerSecond: null, sentPerSecond: null, failureRate: null },
  retryLatenessSeconds: { p50: null, p99: null, max: null },
  queues: {
    ...{ work: null, due: null, journal: null, parked: null, retry: [], deadLetters: null, later: null },
    ...{ high: null, low: null, hold: [], asOfSeconds: null },
  },
  ...{ senders: null, state: 'stale', repeatedSends: null, idConflicts: null, attemptsByNumber: {} },
  ...{
    lastTenSeconds: null,
    lastMinute: null,
    unknown: null,
    failedByReason: {},
    expired: null,
    cancelled: null,
  },
  ...{ held: null, throttled: null, gateway: null, seenSenders: null, problems: ['Redis does not answer'] },
};

async function render(...snapshots: readonly Snapshot[]): Promise<string[]> {
  const registry = new Registry();
  const metrics = new SnapshotMetrics(registry);
  for (const snapshot of snapshots) metrics.set(snapshot);
  const text = await registry.metrics();
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

const KNOWN: Snapshot = {
  ...UNKNOWN,
  ...{ accepted: 41, sent: 30, failed: 9, state: 'ok', problems: [] },
  failedByReason: { timeout: 6, expired: 3 },
  gateway: { state: 'paused', until: null },
  queues: {
    ...UNKNOWN.queues,
    ...{ work: 7, deadLetters: 0, asOfSeconds: 0.25 },
    retry: [{ attempt: 1, delaySeconds: 5, messages: 4 }],
    hold: [{ delaySeconds: 0.5, messages: 2 }],
  },
  lastMinute: {
    ...{
      attemptsPerSecond: 1,
      sentPerSecond: 1,
      failureRate: 0,
      processingSeconds: { p50: 0.2, p95: 0.4, p99: 0.5 },
    },
    retryLatenessSeconds: { p50: 0.001, p99: null },
  },
};

test('a number that is not known has no series', async () => {
  expect(await render(UNKNOWN)).toEqual(['redial_problems 1', 'redial_snapshot_ok 0']);
  // Also where it was known before.
  expect(await render(KNOWN, UNKNOWN)).toEqual(['redial_problems 1', 'redial_snapshot_ok 0']);
});

test('each number stands there as the snapshot tells it, however often it is set', async () => {
  const lines = await render({ ...KNOWN, accepted: 1, failedByReason: { timeout: 1, gone: 5 } }, KNOWN);
  expect(lines).toEqual([
    'redial_accepted_total 41',
    'redial_sent_total 30',
    ...[
      'redial_problems 0',
      'redial_snapshot_ok 1',
      'redial_gateway_paused 1',
      'redial_queues_age_seconds 0.25',
    ],
    'redial_failed_total{reason="timeout"} 6',
    'redial_failed_total{reason="expired"} 3',
    'redial_queue_messages{queue="work"} 7',
    'redial_queue_messages{queue="dead-letters"} 0',
    'redial_queue_messages{queue="retry.1.5s"} 4',
    'redial_queue_messages{queue="hold.0.5s"} 2',
    'redial_processing_seconds{quantile="0.5"} 0.2',
    'redial_processing_seconds{quantile="0.95"} 0.4',
    'redial_processing_seconds{quantile="0.99"} 0.5',
    'redial_retry_lateness_seconds{quantile="0.5"} 0.001',
  ]);
});
