/** `producer redrive` as a process, with real senders, RabbitMQ, Redis and S3. */
import { connect } from 'amqplib';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { waitUntil } from './kit/wait-for.ts';

const servers = inject('servers');
let pipeline: PipelineUnderTest;

beforeEach(() => {
  pipeline = new PipelineUnderTest(servers, 'redrive', {
    PERMANENT_FAILURE_SHARE: '0',
    RETRY_SCHEDULE: '1ms',
    OUTCOME_BATCH_SECONDS: '0.2',
  });
});

afterEach(() => pipeline.end());

const CARRIER_FAILS = { FAILURE_RATE: '1', MEAN_PROCESSING_TIME: '0.001' };
const CARRIER_WORKS = { FAILURE_RATE: '0', MEAN_PROCESSING_TIME: '0.001' };

async function redrive(...args: string[]) {
  const { exitCode, stdout, stderr } = await pipeline.start('producer', ['redrive', ...args, '--json']).ended;
  return { exitCode, stderr, summary: stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>) };
}

// Before the first outcome there is no bucket.
const recordsOf = async (run: string) =>
  (await pipeline.records().catch(() => [])).filter((record) => record.run === run);

/** First attempts that began within any one second. */
function mostWithinASecond(records: Awaited<ReturnType<typeof recordsOf>>): number {
  const startsMs = records.map(({ attempts: [first] }) => Date.parse(first?.startedAt ?? '')).sort();
  const counts = startsMs.map(
    (startMs) => startsMs.filter((ms) => ms >= startMs && ms < startMs + 1_000).length,
  );
  return Math.max(...counts);
}

test('of SMS that failed for several reasons those with one are sent again: stopped by itself, killed, and none twice', async () => {
  const broken = await pipeline.startSender(CARRIER_FAILS);
  await pipeline.produce(300, 'a');
  await pipeline.waitUntilDone(300);
  const chosen = (await recordsOf('a'))
    .filter(({ reason }) => reason === 'timeout')
    .map(({ smsId }) => smsId);
  const command = ['--status', 'failed', '--reason', 'timeout', '--run-of', 'a', '--run', 'again'];

  const dry = await redrive(
    ...command.filter((word) => word !== '--reason' && word !== 'timeout'),
    '--dry-run',
  );
  expect(dry).toMatchObject({
    exitCode: 0,
    summary: { selected: 300, byReason: { timeout: chosen.length } },
  });
  expect(Object.keys((dry.summary as { byReason: object }).byReason).length).toBeGreaterThanOrEqual(3);
  expect(await recordsOf('again')).toEqual([]);

  const stopped = await redrive(...command);
  expect(stopped).toMatchObject({ exitCode: 1, summary: { sent: 1, failedAgain: 1, end: 'stopped' } });
  expect(stopped.stderr).toMatch(/stopped: 1 of the 1 SMS of a batch failed again/);
  await broken.stop();

  await pipeline.startSender(CARRIER_WORKS);
  const killed = pipeline.start('producer', ['redrive', ...command, '--rate', '10']);
  const before = await waitUntil(
    'some to be sent',
    () => recordsOf('again'),
    ({ length }) => length > 12 && length < chosen.length,
  );
  await killed.stop('SIGKILL');
  // Without the rate all of a batch would begin at once: 12 and more belong to the batch of 20.
  expect(mostWithinASecond(before)).toBeLessThanOrEqual(15);
  const interrupted = pipeline.start('producer', ['redrive', ...command, '--rate', '1']);
  // From now on it has the lock; what is recorded until then, the killed one may have sent.
  await interrupted.says('run again goes on');
  const sentSoFar = (await recordsOf('again')).length;
  await waitUntil(
    'more to be sent',
    () => recordsOf('again'),
    ({ length }) => length > sentSoFar + 1,
  );
  const second = await redrive(...command);
  expect([second.exitCode, second.stderr]).toEqual([2, expect.stringContaining('by another process')]);
  await interrupted.stop('SIGINT');
  const { exitCode, stderr } = await interrupted.ended;
  expect(exitCode).toBe(130);
  expect(stderr).toMatch(/\d+ SMS of run again are sent\. The same command with --run again goes on/);
  const resumed = await redrive(...command);
  expect(resumed).toMatchObject({ exitCode: 0, summary: { failedAgain: 0, end: 'done' } });
  expect(resumed.summary.sent).toBeLessThan(chosen.length - 12);
  expect(await redrive(...command)).toMatchObject({
    exitCode: 0,
    summary: { selected: chosen.length, before: chosen.length, sent: 0 },
  });

  const again = await waitUntil(
    'the records',
    () => recordsOf('again'),
    ({ length }) => length >= chosen.length,
  );
  expect(again.map(({ redriveOf }) => redriveOf).sort()).toEqual(chosen.sort());
  expect(again.filter(({ status }) => status === 'sent').length).toBe(chosen.length - 1);
  expect(await pipeline.waitUntilDone(300 + chosen.length)).toMatchObject({
    accepted: 300 + chosen.length,
    repeatedSends: 0,
    idConflicts: 0,
  });
  expect((await pipeline.auditStill()).report).toMatchObject({ balanced: true });
});

test('a parked message is sent again as it was, where its record holds all of it', async () => {
  // Declares the queues.
  await pipeline.produce(1, 'a');
  const connection = await connect(servers.rabbitmqUrl);
  const channel = await connection.createConfirmChannel();
  const publish = (messageId: string, content: object, more = {}) =>
    channel.publish(pipeline.queueName, 'work', Buffer.from(JSON.stringify(content)), { messageId, ...more });
  const to = '+15550100001';
  // There is no sender yet, so it expires: with another reason than those that nobody can read.
  publish('late', { to, text: 'Grüße', more: [1] }, { expiration: '1', headers: { priority: 'low' } });
  publish('bad', { to: 'nobody', text: 'x' });
  publish('long', { to, text: 'x'.repeat(10_000) });
  await channel.waitForConfirms();
  await pipeline.startSender(CARRIER_WORKS);
  await pipeline.waitUntilDone(4);
  const reasons = new Map((await pipeline.records()).map(({ smsId, reason = '' }) => [smsId, reason]));
  const ofReason = (smsId: string) => ['--status', 'parked', '--reason', reasons.get(smsId) ?? ''];

  expect(await redrive(...ofReason('late'), '--run', 'mended')).toMatchObject({
    exitCode: 0,
    summary: { sent: 1, failedAgain: 0, end: 'done' },
  });
  expect(await redrive(...ofReason('bad'), '--run', 'unmended')).toMatchObject({
    exitCode: 1,
    summary: { sent: 1, failedAgain: 1, end: 'stopped' },
  });
  const left = await redrive(...ofReason('long'), '--run', 'left');
  expect(left).toMatchObject({ exitCode: 1, summary: { sent: 0, left: 1 } });
  expect(left.stderr).toMatch(/long is left: its record holds 8192 of \d+ bytes/);

  const untilRecorded = (run: string) =>
    waitUntil(
      `the record of ${run}`,
      () => recordsOf(run),
      ({ length }) => length === 1,
    );
  expect(await untilRecorded('mended')).toMatchObject([
    { status: 'sent', redriveOf: 'late', to, text: 'Grüße', priority: 'low' },
  ]);
  expect(await untilRecorded('unmended')).toMatchObject([{ status: 'parked', redriveOf: 'bad' }]);
  // What stood in the parked queue still stands there.
  const { messageCount } = await channel.checkQueue(`${pipeline.queueName}.parked`);
  expect(messageCount).toBe(4);
  await connection.close();
});
