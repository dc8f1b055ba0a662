/** The audit on a real RabbitMQ that does not give SMS back. */
import { afterEach, expect, inject, it } from 'vitest';
import { ManagementQueueReader } from '../shared/adapters/rabbitmq/management-queues.ts';
import { RabbitMqOverdueReader } from '../shared/adapters/rabbitmq/waiting/overdue-reader.ts';
import type { CounterReader } from '../shared/ports/counter-reader.ts';
import { systemClock } from '../shared/process/system-clock.ts';
import { NOTHING_COUNTED } from '../tests/kit/nothing-counted.ts';
import { PipelineOnRabbitMq } from '../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import {
  declareWithoutTtl,
  heldSms,
  unbindDue,
  waitingSms,
} from '../tests/kit/rabbitmq/stuck-retry-queue.ts';
import { audit } from './audit/audit.ts';
import type { AuditReport } from './audit/audit-report.ts';

const servers = inject('servers');
const nothingCounted: Pick<CounterReader, 'readInFull'> = {
  readInFull: async () => ({
    ...{
      areValid: true,
      runs: new Map([['demo', { ...NOTHING_COUNTED, announced: 9 }]]),
      summedRuns: new Map(),
      lastTenSeconds: new Map(),
      lastMinute: new Map(),
    },
    done: { counters: NOTHING_COUNTED, forgottenCount: 0, withInputConflict: [] },
    ...{
      livingSenders: 1,
      silentSenders: 0,
      seenSenders: [],
      livingRecorders: 1,
      conflictingIds: [],
      recordingTroubles: [],
    },
    ...{
      memory: { usedBytes: 1, maxBytes: 0, policy: 'noeviction' },
      throttled: 0,
      pausedUntilMs: undefined,
    },
  }),
};

let pipeline: PipelineOnRabbitMq;
afterEach(() => pipeline.stop());

function auditNow(): Promise<AuditReport> {
  const { prefix, url, connectionName, log } = pipeline;
  return audit(
    {
      objects: { get: async () => undefined, async *list() {} },
      counters: nothingCounted,
      queues: new ManagementQueueReader({
        ...{ url: servers.managementUrl, user: 'guest', password: 'guest', vhost: '/', prefix },
      }),
      overdue: new RabbitMqOverdueReader({ urls: [url], name: connectionName, log, deadlineMs: 20_000 }),
      clock: systemClock,
    },
    {
      queue: prefix,
      prefixes: { sent: 'success', failed: 'failed', parked: 'parked', known: 'known' },
      keepTimeMs: 86_400_000,
      ...{ statisticsIntervalMs: 2_000, graceMs: 3_000 },
    },
  );
}

async function publish(routingKey: string, notBeforeMs: readonly number[]): Promise<void> {
  const publisher = pipeline.publisher();
  const connection = await pipeline.connect([publisher]);
  await Promise.all(
    notBeforeMs.map((each, index) => publisher.publish(waitingSms(`sms-${index}`, each, routingKey))),
  );
  await connection.close();
}

it('sees SMS past their time, also in a queue of a schedule that nobody declares', async () => {
  pipeline = await PipelineOnRabbitMq.start(servers, [60_000]);
  await pipeline.connect();
  const queueName = await declareWithoutTtl(pipeline.api, pipeline.prefix, 'retry.7.3h');
  const nowMs = Date.now();
  await publish('retry.7.3h', [nowMs - 90_000, nowMs - 40_000, nowMs]);
  await publish('retry.1.1m', [nowMs + 60_000]);
  await expect.poll(async () => (await auditNow()).overdue, { timeout: 120_000 }).toBe(2);
  expect((await auditNow()).overdueSince).toBe(new Date(nowMs - 90_000).toISOString());
  expect((await pipeline.api.takeMessageIds(queueName)).length).toBe(3);
  await pipeline.api.deleteQueue(queueName);
});

it('sees SMS that a hold queue keeps for too long, long before they are late', async () => {
  pipeline = await PipelineOnRabbitMq.start(servers);
  const publisher = pipeline.publisher();
  await pipeline.connect([publisher]);
  const held = [90, 40, -3_600].map((past, index) => heldSms(`sms-${index}`, past, 'hold.262144s'));
  for (const each of held) await publisher.publish(each);
  await expect.poll(async () => (await auditNow()).overdue, { timeout: 120_000 }).toBe(2);
  expect((await auditNow()).overdueSince).toBe(new Date(Number(held[0]?.headers.heldUntil)).toISOString());
});

it('sees SMS that have expired and have nowhere to go, and none any more once they have', async () => {
  pipeline = await PipelineOnRabbitMq.start(servers, [500]);
  await pipeline.connect();
  await unbindDue(pipeline.api, pipeline.prefix);
  const nowMs = Date.now();
  // Without the topology, which would bind the queue again.
  await pipeline.api.call('POST', `exchanges/%2F/${pipeline.prefix}.internal/publish`, {
    ...{ routing_key: 'retry.1.500ms', payload: 'x', payload_encoding: 'string' },
    properties: { message_id: 'sms-0', delivery_mode: 2, headers: { notBefore: nowMs + 500 } },
  });
  await expect.poll(async () => (await auditNow()).overdue, { timeout: 120_000 }).toBe(1);
  const report = await auditNow();
  expect(report.problems.join()).toContain(`could not hand any to "${pipeline.prefix}.due"`);
  expect(Date.parse(report.overdueSince ?? '')).toBeGreaterThan(nowMs);
  await pipeline.connect();
  await expect.poll(async () => (await auditNow()).overdue, { timeout: 120_000 }).toBe(0);
  expect(await pipeline.api.takeMessageIds(pipeline.queue('due'))).toEqual(['sms-0']);
});
