/** `producer requeue-overdue` as a process, on a real RabbitMQ whose retry queues do not give SMS back. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { inspectQueues } from '../../shared/adapters/rabbitmq/inspect-queue.ts';
import type { IncomingMessage } from '../../shared/domain/sms/message.ts';
import { numberedIds, PipelineOnRabbitMq } from '../../tests/kit/rabbitmq/pipeline-on-rabbitmq.ts';
import {
  declareWithoutTtl,
  heldSms,
  unbindDue,
  waitingSms,
} from '../../tests/kit/rabbitmq/stuck-retry-queue.ts';

const servers = inject('servers');
const commands = join(import.meta.dirname, '..', '..', 'scripts', 'commands');
const extraQueues: string[] = [];
const children: ChildProcess[] = [];
let pipeline: PipelineOnRabbitMq;

// The first call builds; no test is to wait for that.
beforeAll(async () => {
  await once(spawn(process.execPath, [join(commands, 'producer.js'), '--help']), 'close');
});

beforeEach(async () => {
  pipeline = await PipelineOnRabbitMq.start(servers, [3_600_000]);
  await pipeline.connect();
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const name of extraQueues.splice(0)) await pipeline.api.deleteQueue(name).catch(() => {});
  await pipeline.stop();
});

function requeue(environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(commands, 'producer.js'), 'requeue-overdue', '--json'], {
    env: {
      ...process.env,
      RABBITMQ_URL: pipeline.url,
      RABBITMQ_MANAGEMENT_URL: servers.managementUrl,
      QUEUE_NAME: pipeline.prefix,
      RETRY_SCHEDULE: '1h',
      ...environment,
    },
  });
  children.push(child);
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
    ([[exitCode], stdout, stderr]) => ({
      exitCode: exitCode as number,
      stderr,
      summary: (stdout === '' ? {} : JSON.parse(stdout)) as { moved?: number; left?: number | null },
    }),
  );
  return { child, ended };
}

async function stuckQueue(routingKey: string): Promise<string> {
  const name = await declareWithoutTtl(pipeline.api, pipeline.prefix, routingKey);
  extraQueues.push(name);
  return name;
}

/** Publishes `sms-0`, … , each that many seconds past its time. */
async function publish(routingKey: string, pastSeconds: readonly (number | undefined)[]): Promise<void> {
  const publisher = pipeline.publisher();
  const connection = await pipeline.connect([publisher]);
  const nowMs = Date.now();
  await Promise.all(
    pastSeconds.map((past, index) => {
      const notBeforeMs = past === undefined ? undefined : nowMs - past * 1_000;
      return publisher.publish(waitingSms(`sms-${index}`, notBeforeMs, routingKey));
    }),
  );
  await connection.close();
}

/** At least so many messages, and what comes within 700 ms of another. */
async function takeAll(routingKey: string, count = 0): Promise<IncomingMessage[]> {
  const taken: IncomingMessage[] = [];
  const consumer = pipeline.consumer(routingKey, 0);
  const connection = await pipeline.connect([consumer]);
  let quietSince = Date.now();
  consumer.start((delivery) => {
    taken.push(delivery.message);
    delivery.acknowledge();
    quietSince = Date.now();
  });
  await expect
    .poll(() => (taken.length < count ? `${taken.length} of ${count}` : Date.now() - quietSince > 700), {
      timeout: 60_000,
    })
    .toBe(true);
  await connection.close();
  return taken;
}

function idsOf(messages: readonly IncomingMessage[]): string[] {
  return messages.map(({ messageId }) => String(messageId));
}

describe('what is overdue', () => {
  it('is moved as it is, also from a queue of another schedule; the rest keeps its place', async () => {
    await stuckQueue('retry.7.3h');
    await publish('retry.7.3h', [600, 500, 31, 10, -100]);
    await publish('retry.1.1h', [-3_600, -3_600, -3_600]);
    const { exitCode, summary } = await requeue().ended;
    expect(exitCode).toBe(0);
    expect(summary).toEqual({ moved: 3, left: 0, expired: 0, seconds: expect.any(Number) });
    const due = await takeAll('due');
    expect(idsOf(due)).toEqual(numberedIds(3));
    const original = waitingSms('sms-0', Number(due[0]?.headers.notBefore));
    expect(due[0]).toMatchObject({ body: original.body, timestamp: 1_700_000_000, type: 'sms' });
    expect(due[0]?.headers).toEqual(original.headers);
    expect(idsOf(await takeAll('retry.7.3h'))).toEqual(['sms-3', 'sms-4']);
    expect(idsOf(await takeAll('retry.1.1h'))).toEqual(numberedIds(3));
  });

  it('is found behind messages that nobody can judge, and those stay', async () => {
    await stuckQueue('retry.1.5s');
    await publish('retry.1.5s', [undefined, 100, undefined, 0]);
    const { exitCode, summary, stderr } = await requeue().ended;
    expect({ exitCode, moved: summary.moved }).toEqual({ exitCode: 0, moved: 1 });
    expect(stderr).toContain('2 messages stay where they are');
    expect(idsOf(await takeAll('retry.1.5s'))).toEqual(['sms-0', 'sms-2', 'sms-3']);
  });

  it('is moved out of a hold queue long before its own time, also beside one declared otherwise', async () => {
    const publisher = pipeline.publisher();
    const connection = await pipeline.connect([publisher]);
    const held = [600, 31, 10].map((past, index) => heldSms(`sms-${index}`, past, 'hold.262144s'));
    for (const each of held) await publisher.publish(each);
    await connection.close();
    await pipeline.api.deleteQueue(pipeline.queue('hold.16s'));
    await declareWithoutTtl(pipeline.api, pipeline.prefix, 'hold.16s');
    const { exitCode, summary } = await requeue().ended;
    expect({ exitCode, summary }).toMatchObject({ exitCode: 0, summary: { moved: 2, left: 0 } });
    await pipeline.api.deleteQueue(pipeline.queue('hold.16s'));
    expect(idsOf(await takeAll('due'))).toEqual(numberedIds(2));
    expect(idsOf(await takeAll('hold.262144s'))).toEqual(['sms-2']);
  });

  it('is moved without the management API too, from the queues of the schedule', async () => {
    await stuckQueue('retry.1.5s');
    await publish('retry.1.5s', [100]);
    const blind = { RABBITMQ_MANAGEMENT_URL: 'http://127.0.0.1:9' };
    const other = await requeue(blind).ended;
    expect(other).toMatchObject({ exitCode: 0, summary: { moved: 0, expired: null } });
    expect(other.stderr).toContain(
      'only the hold queues and the retry queues of RETRY_SCHEDULE were looked at',
    );
    const own = await requeue({ ...blind, RETRY_SCHEDULE: '5s' }).ended;
    expect(own).toMatchObject({ exitCode: 0, summary: { moved: 1, left: 0 } });
  });

  it('comes by the thousands, over a connection that is cut again and again: nothing is lost', async () => {
    await stuckQueue('retry.1.5s');
    const total = 6_000;
    await publish('retry.1.5s', [...Array.from({ length: total }, () => 100), 0]);
    const { ended } = requeue();
    let isOver = false;
    void ended.finally(() => {
      isOver = true;
    });
    let cutCount = 0;
    const cutting = setInterval(() => {
      // One is the test's own.
      if (isOver || pipeline.proxy.connectionCount < 2 || cutCount >= 5) return;
      cutCount += 1;
      pipeline.proxy.cut();
    }, 150);
    const { exitCode, summary } = await ended.finally(() => clearInterval(cutting));
    expect(exitCode).toBe(0);
    expect(summary.left).toBe(0);
    expect(cutCount).toBeGreaterThan(1);
    const due = idsOf(await takeAll('due', total));
    expect(new Set(due).size).toBe(total);
    // At most a window for each cut.
    expect(due.length).toBeLessThanOrEqual(total + cutCount * 500);
    expect(idsOf(await takeAll('retry.1.5s'))).toEqual([`sms-${total}`]);
  });
});

it('an interrupted move says how many it moved, and the others are where they were', async () => {
  await stuckQueue('retry.1.5s');
  await publish(
    'retry.1.5s',
    Array.from({ length: 10_000 }, () => 100),
  );
  const { child, ended } = requeue();
  const options = { urls: [pipeline.url], name: 'a look', log: pipeline.log, deadlineMs: 10_000 };
  const dueCount = async () =>
    (await inspectQueues(options, [pipeline.queue('due')])).get(pipeline.queue('due'))?.messageCount;
  await expect.poll(dueCount, { interval: 5, timeout: 120_000 }).toBeGreaterThan(0);
  child.kill('SIGTERM');
  const { exitCode, summary, stderr } = await ended;
  expect(exitCode).toBe(143);
  expect(summary.left).toBe(null);
  expect(stderr).toContain('interrupted by SIGTERM');
  const [due, left] = [idsOf(await takeAll('due')), idsOf(await takeAll('retry.1.5s'))];
  expect(due.length).toBe(summary.moved);
  expect(left.length).toBeGreaterThan(0);
  // What was taken and given back may stand behind other overdue ones, which is all that is overdue here.
  expect([...due, ...left].sort()).toEqual(numberedIds(10_000).sort());
});

it('SMS that have expired and have nowhere to go are told, and go on once the topology is declared again', async () => {
  const own = await PipelineOnRabbitMq.start(servers, [500]);
  await own.connect();
  await unbindDue(own.api, own.prefix);
  await own.api.call('POST', `exchanges/%2F/${own.prefix}.internal/publish`, {
    ...{ routing_key: 'retry.1.500ms', payload: 'x', payload_encoding: 'string' },
    properties: { message_id: 'sms-0', delivery_mode: 2, headers: {} },
  });
  const counts = () =>
    own.api.call<{ messages?: number; messages_ready?: number }>(
      'GET',
      `queues/%2F/${own.queue('retry.1.500ms')}`,
    );
  await expect.poll(counts, { timeout: 120_000 }).toMatchObject({ messages: 1, messages_ready: 0 });
  const { exitCode, summary, stderr } = await requeue({ QUEUE_NAME: own.prefix }).ended;
  expect({ exitCode, summary }).toMatchObject({ exitCode: 0, summary: { moved: 0, expired: 1 } });
  expect(stderr).toContain('RabbitMQ tries again by itself');
  await expect.poll(() => own.api.takeMessageIds(own.queue('due')), { timeout: 120_000 }).toEqual(['sms-0']);
  await own.stop();
});
