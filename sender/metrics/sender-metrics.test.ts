import { expect, test } from 'vitest';
import type { AttemptRecord } from '../../shared/domain/outcome/attempt.ts';
import type { OutgoingMessage } from '../../shared/domain/sms/message.ts';
import { ROUTING_KEYS, retryRoutingKey } from '../../shared/domain/topology/topology.ts';
import { registerSenderMetrics } from './sender-metrics.ts';
import { SenderTally } from './tally.ts';

const LOAD = { inFlight: 0, isGatewayPaused: false, throttledCount: 0 };

async function render(tally: SenderTally, load = LOAD, awayMs = { redis: 0, s3: 0 }): Promise<string[]> {
  const registry = registerSenderMetrics({
    tally,
    sender: { load },
    recorder: { storesAwayMs: awayMs },
    journal: { unconfirmedCount: 3 },
    isConnected: () => false,
  });
  // Read twice: what stands there is what was counted, and not the sum of two scrapes.
  await registry.metrics();
  const lines = (await registry.metrics()).split('\n');
  return lines.filter((line) => line.startsWith('redial_'));
}

function messageFor(routingKey: string): OutgoingMessage {
  const properties = { messageId: 'a-1', type: 'sms', contentType: 'application/json' } as const;
  return { routingKey, ...properties, timestampMs: 0, headers: {}, body: Buffer.alloc(0) };
}

const attempt = (result: string, tookMs: number, lateMs?: number): AttemptRecord => ({
  ...{ attempt: 1, startedAt: '2026-11-22T10:00:00.000Z', tookMs, result },
  ...(lateMs === undefined ? {} : { lateMs }),
});

test('every series is there from the start', async () => {
  const lines = await render(new SenderTally());
  const expected = [
    ...['sent', 'failed', 'unknown'].map((result) => `redial_sender_attempts_total{result="${result}"} 0`),
    ...['throttled', 'retried', 'held', 'parked'].map((name) => `redial_sender_${name}_total 0`),
    ...['sent', 'failed', 'parked', 'known'].map(
      (status) => `redial_sender_outcomes_stored_total{status="${status}"} 0`,
    ),
    ...['attempts_in_flight 0', 'gateway_paused 0', 'journal_unconfirmed 3', 'rabbitmq_up 0'].map(
      (name) => `redial_sender_${name}`,
    ),
    ...['redis', 's3'].map((store) => `redial_sender_store_away_seconds{store="${store}"} 0`),
    'redial_sender_lateness_seconds_count 0',
  ];
  for (const line of expected) expect(lines).toContain(line);
  expect(lines.filter((line) => line.startsWith('redial_sender_processing_seconds_bucket'))).toHaveLength(17);
});

test('an attempt counts by its result, in the bucket of its duration, and late only where it had to wait', async () => {
  const tally = new SenderTally();
  tally.noteAttempt(attempt('sent', 250));
  tally.noteAttempt(attempt('failed', 251, 4));
  // A clock that is ahead makes an attempt early, and a carrier may take longer than any bucket.
  tally.noteAttempt(attempt('unknown', 500_000, -20));
  const lines = await render(tally);
  for (const result of ['sent', 'failed', 'unknown'])
    expect(lines).toContain(`redial_sender_attempts_total{result="${result}"} 1`);
  const processing = 'redial_sender_processing_seconds';
  expect(lines).toContain(`${processing}_bucket{le="0.1"} 0`);
  expect(lines).toContain(`${processing}_bucket{le="0.25"} 1`);
  expect(lines).toContain(`${processing}_bucket{le="0.5"} 2`);
  expect(lines).toContain(`${processing}_bucket{le="120"} 2`);
  expect(lines).toContain(`${processing}_bucket{le="+Inf"} 3`);
  expect(lines).toContain(`${processing}_sum 500.501`);
  expect(lines).toContain('redial_sender_lateness_seconds_bucket{le="0.001"} 1');
  expect(lines).toContain('redial_sender_lateness_seconds_sum 0.004');
  expect(lines).toContain('redial_sender_lateness_seconds_count 2');
});

test('what RabbitMQ has confirmed counts by where the SMS went', async () => {
  const tally = new SenderTally();
  tally.notePassedOn({ message: messageFor(retryRoutingKey(1, 5_000)), journalLine: '{}' });
  // A retry that waits for another time than its queue does.
  tally.notePassedOn({ message: messageFor('hold.4s'), journalLine: '{}' });
  tally.notePassedOn({ message: messageFor('hold.1s') });
  tally.notePassedOn({ message: messageFor(ROUTING_KEYS.parked), journalLine: '{}' });
  tally.notePassedOn({ journalLine: '{}' });
  tally.noteStored('sent', 7);
  tally.noteStored('sent', 2);
  const lines = await render(
    tally,
    { inFlight: 5, isGatewayPaused: true, throttledCount: 9 },
    { redis: 0, s3: 1_500 },
  );
  for (const line of [
    'retried_total 2',
    'held_total 1',
    'parked_total 1',
    'throttled_total 9',
    'outcomes_stored_total{status="sent"} 9',
    'attempts_in_flight 5',
    'gateway_paused 1',
    'store_away_seconds{store="s3"} 1.5',
  ])
    expect(lines).toContain(`redial_sender_${line}`);
});
