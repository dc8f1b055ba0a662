/** What a sender serves under METRICS_PORT, beside what S3 and the monitor say of the same SMS. */
import { createServer } from 'node:http';
import { afterEach, expect, inject, test } from 'vitest';
import { findFreePorts } from '../scripts/servers/free-ports.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { waitUntil } from './kit/wait-for.ts';

const DEADLINE_MS = 180_000;
const TEST_TIMEOUT_MS = 2 * DEADLINE_MS;
const SMS_COUNT = 300;
const servers = inject('servers');
const pipeline = new PipelineUnderTest(servers, 'metrics', { FAILURE_RATE: '0.4', UNKNOWN_SHARE: '0.2' });
afterEach(() => pipeline.end());

/** The samples of a scrape, by name and labels. */
async function scrape(port: number): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

test(
  'a sender counts what became of its SMS, and a port that is taken keeps it from nothing',
  async () => {
    const [port = 0] = await findFreePorts(1);
    const other = createServer().listen(port, '127.0.0.1');
    const sender = await pipeline.startSender({ METRICS_PORT: String(port) });
    await sender.says(`METRICS_PORT: cannot listen on 127.0.0.1:${port}`, DEADLINE_MS);
    await pipeline.produce(SMS_COUNT, 'counted');
    const snapshot = await pipeline.waitUntilDone(SMS_COUNT, DEADLINE_MS);
    other.close();
    await sender.says('the metrics are served', DEADLINE_MS);

    const seen = await waitUntil(
      'the last outcome',
      () => scrape(port),
      (samples) => samples.get('redial_sender_outcomes_stored_total{status="sent"}') === snapshot.sent,
      DEADLINE_MS,
    );
    const attempts = (await pipeline.records()).flatMap((record) => record.attempts);
    const ofResult = (result: string) => attempts.filter((each) => each.result === result).length;
    for (const result of ['sent', 'failed', 'unknown'])
      expect(seen.get(`redial_sender_attempts_total{result="${result}"}`)).toBe(ofResult(result));
    const retries = attempts.filter(({ attempt }) => attempt > 1);
    expect(retries.length).toBeGreaterThan(0);
    expect(Object.fromEntries(seen)).toMatchObject({
      redial_sender_retried_total: retries.length,
      redial_sender_held_total: 0,
      redial_sender_parked_total: 0,
      redial_sender_attempts_in_flight: 0,
      redial_sender_journal_unconfirmed: 0,
      redial_sender_rabbitmq_up: 1,
      'redial_sender_outcomes_stored_total{status="failed"}': snapshot.failed,
      'redial_sender_outcomes_stored_total{status="known"}': 0,
      redial_sender_processing_seconds_count: attempts.length,
      redial_sender_lateness_seconds_count: retries.length,
      'redial_sender_store_away_seconds{store="s3"}': 0,
    });
    const tookSeconds = attempts.reduce((sum, { tookMs }) => sum + tookMs, 0) / 1_000;
    expect(seen.get('redial_sender_processing_seconds_sum')).toBeCloseTo(tookSeconds, 6);

    // A connection that its reader keeps open does not keep the sender.
    expect((await sender.stop()).exitCode).toBe(0);
  },
  TEST_TIMEOUT_MS,
);
