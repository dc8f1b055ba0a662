/** Outcomes for other services: with OUTCOME_EVENTS=on each of them is an event too, at least once. */
import { readFileSync } from 'node:fs';
import { type ChannelModel, connect } from 'amqplib';
import { afterEach, expect, inject, test } from 'vitest';
import { timeOf } from '../shared/domain/iso-time.ts';
import type { OutcomeRecord } from '../shared/domain/outcome/outcome.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { publishAsClient } from './kit/rabbitmq/foreign-client.ts';
import { readStoredRecords, withoutDuplicates } from './kit/stored-records.ts';
import { waitFor } from './kit/wait-for.ts';

const servers = inject('servers');
const SETTINGS = {
  OUTCOME_EVENTS: 'on',
  RETRY_SCHEDULE: '50ms,80ms',
  FAILURE_RATE: '0.4',
  OUTCOME_BATCH_SECONDS: '0.2',
};

interface TakenEvent {
  readonly routingKey: string;
  readonly messageId: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly record: OutcomeRecord;
}

/** A queue of another service, bound to all events of a pipeline. */
class Subscriber {
  readonly events: TakenEvent[] = [];
  readonly #connection: ChannelModel;

  private constructor(connection: ChannelModel) {
    this.#connection = connection;
  }

  static async bind({ queueName }: PipelineUnderTest): Promise<Subscriber> {
    const subscriber = new Subscriber(await connect(servers.rabbitmqUrl));
    const channel = await subscriber.#connection.createChannel();
    const exchange = `${queueName}.events`;
    await channel.assertExchange(exchange, 'topic', { durable: true });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, exchange, '#');
    await channel.consume(
      queue,
      (message) => {
        if (message === null) return;
        const { fields, properties, content } = message;
        subscriber.events.push({
          routingKey: fields.routingKey,
          messageId: properties.messageId,
          headers: properties.headers ?? {},
          record: JSON.parse(content.toString()),
        });
      },
      { noAck: true },
    );
    return subscriber;
  }

  get ids(): Set<string> {
    return new Set(this.events.map(({ messageId }) => messageId));
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

let pipeline: PipelineUnderTest;
let subscriber: Subscriber | undefined;
afterEach(async () => {
  await subscriber?.close();
  subscriber = undefined;
  await pipeline.end();
});

async function storedOutcomes(): Promise<OutcomeRecord[]> {
  return withoutDuplicates(await readStoredRecords(pipeline.objects, ['success/', 'failed/', 'parked/']));
}

function exampleOfDocs(): string {
  const page = readFileSync(new URL('../docs/events.md', import.meta.url), 'utf8');
  return /```js\n(.*?)```/s.exec(page)?.[1] ?? '';
}

test('a bound queue gets each outcome as S3 has it, and the service of docs/events.md reacts to the failed ones', async () => {
  pipeline = new PipelineUnderTest(servers, 'events', SETTINGS);
  subscriber = await Subscriber.bind(pipeline);
  const service = pipeline.run(['--input-type=module', '-e', exampleOfDocs()]);
  await waitFor('the service to wait', () => service.stdout.includes('waiting for'));
  const sender = await pipeline.startSender();
  await pipeline.produce(300, 'demo');
  await publishAsClient(servers.rabbitmqUrl, pipeline.queueName, [{ id: 'not readable: ü' }]);
  await pipeline.waitUntilDone(301);
  const { events } = subscriber;
  await waitFor('301 events', () => events.length >= 301);

  const records = await storedOutcomes();
  expect(new Map(events.map(({ record }) => [record.smsId, record]))).toEqual(
    new Map(records.map((record) => [record.smsId, record])),
  );
  for (const { routingKey, messageId, headers, record } of events) {
    const last = record.attempts.at(-1);
    const startedAt = last === undefined ? undefined : timeOf(last.startedAt);
    const plannedAt =
      last?.lateMs === undefined || startedAt === undefined ? undefined : startedAt - last.lateMs;
    expect({ routingKey, messageId }).toEqual({ routingKey: record.status, messageId: record.smsId });
    const { run, status, reason } = record;
    expect(headers).toMatchObject({ run, status, ...(reason === undefined ? {} : { reason }) });
    expect(headers.startedAt).toBe(startedAt);
    if (plannedAt !== undefined) expect(headers.plannedAt).toBe(plannedAt);
  }
  expect(new Set(events.map(({ routingKey }) => routingKey))).toEqual(new Set(['sent', 'failed', 'parked']));
  const failed = records.filter(({ status }) => status === 'failed');
  await waitFor('the service to react', () => service.stdout.split('\n').length >= failed.length + 2);
  for (const { smsId, attempts, reason } of failed)
    expect(service.stdout).toContain(`${smsId} failed after ${attempts.length} attempts: ${reason}\n`);
  expect((await service.stop()).exitCode).toBe(0);
  expect((await sender.stop()).exitCode).toBe(0);
});

test('recorders that die before or after an outcome is counted leave its event to another one', async () => {
  pipeline = new PipelineUnderTest(servers, 'events-killed', SETTINGS);
  subscriber = await Subscriber.bind(pipeline);
  const dying = ['object-stored:2', 'outcomes-settled:2', 'before-journal-acknowledgement:3'];
  for (const point of dying) {
    const sender = await pipeline.startSender({ REDIAL_CRASH_POINT: point });
    await pipeline.produce(100, point.replace(':', '-'));
    await sender.ended;
  }
  await pipeline.startSender();
  await pipeline.waitUntilDone(300);
  const records = await storedOutcomes();
  expect(records).toHaveLength(300);
  const { ids, events } = subscriber;
  await waitFor('an event of each outcome', () => subscriber?.ids.size === 300);
  expect(ids.size).toBe(300);
  const stored = new Map(records.map((record) => [record.smsId, record]));
  for (const { record } of events) expect(record).toEqual(stored.get(record.smsId));
});

test('without the setting there is no exchange for events', async () => {
  pipeline = new PipelineUnderTest(servers, 'events-off');
  await pipeline.startSender();
  const connection = await connect(servers.rabbitmqUrl);
  const channel = await connection.createChannel();
  const refused = new Promise((resolve) => channel.once('error', resolve));
  await expect(channel.checkExchange(`${pipeline.queueName}.events`)).rejects.toThrow('NOT_FOUND');
  await refused;
  await connection.close();
});
