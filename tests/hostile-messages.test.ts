/** Messages of foreign clients that were made to stop a sender, to stop its recorder, or to vanish without a record. */
import { type ConfirmChannel, connect, type Options } from 'amqplib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { encodeProperties, field, table } from './fuzz/amqp-encoding.ts';
import { RawClient } from './fuzz/raw-client.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { ManagementApi } from './kit/rabbitmq/management-api.ts';
import { waitFor } from './kit/wait-for.ts';

const servers = inject('servers');
const api = new ManagementApi(servers.managementUrl);
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const SMS = json({ to: '+15550100001', text: 'Hello' });
const DEEP = `${'['.repeat(8_000)}${']'.repeat(8_000)}`;
const FAILED = {
  attempt: 1,
  startedAt: '2026-11-22T10:00:00.000Z',
  tookMs: 5,
  result: 'failed',
  reason: 'timeout',
};
// Five at once and fifteen handed out: as many bad messages as RabbitMQ hands out would stop all others.
const NARROW = { SENDER_CONCURRENCY: '5', FAILURE_RATE: '0', MEAN_PROCESSING_TIME: '0.02' };
const HANDED_OUT = 15;
const GOOD_COUNT = 100;
const PROMPT_MS = 10_000;
const EXPIRED = 'expired before a sender took it: send it again under another id, without expiration';

let connection: Awaited<ReturnType<typeof connect>>;
let channel: ConfirmChannel;
let pipeline: PipelineUnderTest;

beforeAll(async () => {
  connection = await connect(servers.rabbitmqUrl);
  channel = await connection.createConfirmChannel();
});

beforeEach(async () => {
  pipeline = new PipelineUnderTest(servers, 'hostile', NARROW);
  await pipeline.objects.ensureBucket();
});

afterEach(() => pipeline.end());
afterAll(() => connection?.close());

function publish(body: Buffer, properties: Options.Publish = {}, routingKey = 'work'): void {
  const exchange = routingKey === 'work' ? pipeline.queueName : `${pipeline.queueName}.internal`;
  channel.publish(exchange, routingKey, body, { persistent: true, mandatory: true, ...properties });
}

/** SMS that are fine have their outcomes promptly, whatever lies around. */
async function expectGoodSmsToPass(run = 'good'): Promise<void> {
  await pipeline.produce(GOOD_COUNT, run);
  await waitFor(
    `the outcomes of ${run}`,
    async () => (await pipeline.records()).filter((record) => record.run === run).length === GOOD_COUNT,
    PROMPT_MS,
  );
}

const parkedRecords = async () => (await pipeline.records()).filter(({ status }) => status === 'parked');
const parkedMessages = () =>
  api.call<{ properties: { headers: Record<string, unknown> }; payload: string }[]>(
    'POST',
    `queues/%2F/${pipeline.queueName}.parked/get`,
    { count: 100, ackmode: 'ack_requeue_true', encoding: 'base64' },
  );

describe('a sender', () => {
  test('sends SMS whose history has a key that is nested 8,000 deep, and passes on nothing of it', async () => {
    const sender = await pipeline.startSender();
    const history = `[{"deep":${DEEP},${JSON.stringify(FAILED).slice(1)}]`;
    for (let index = 0; index < HANDED_OUT; index += 1)
      publish(SMS, { messageId: `deep-${index}`, headers: { run: 'deep', attempt: 2, history } });
    await channel.waitForConfirms();
    await expectGoodSmsToPass();
    const deep = (await pipeline.records()).filter(({ run }) => run === 'deep');
    expect(deep.map(({ status, attempts }) => [status, attempts.length])).toEqual(
      Array(HANDED_OUT).fill(['sent', 2]),
    );
    expect(deep[0]?.attempts[0]).toEqual(FAILED);
    expect(sender.hasEnded).toBe(false);
  });

  test('parks messages whose content type cannot be told to RabbitMQ again', async () => {
    await pipeline.startSender();
    // Each byte that is no UTF-8 is read as a character of three bytes: 120 become 360.
    await publishWithBytesAsContentType(Array.from({ length: HANDED_OUT }, (_, index) => `type-${index}`));
    await expectGoodSmsToPass();
    await waitFor('the messages to be parked', async () => (await parkedMessages()).length === HANDED_OUT);
    expect((await parkedRecords()).map(({ reason }) => reason)).toEqual(
      Array(HANDED_OUT).fill('content type is unknown: set application/json, or none'),
    );
  });

  test('passes on no number that RabbitMQ would close the connection for', async () => {
    await pipeline.startSender();
    // amqplib takes such a table for a number when it writes it, and this one for no number.
    const trap = field.table([
      ['!', field.text('double')],
      ['value', field.text('x')],
    ]);
    const client = new RawClient(servers.rabbitmqUrl, HANDED_OUT);
    const traps = Array.from({ length: HANDED_OUT }, (_, index) => ({
      properties: encodeProperties({
        headers: table([['trap', trap]]),
        messageId: Buffer.from(`trap-${index}`),
      }),
      body: Buffer.from('no JSON'),
    }));
    await client.publish(pipeline.queueName, 'work', traps);
    await client.close();
    await expectGoodSmsToPass();
    await waitFor('the messages to be parked', async () => (await parkedMessages()).length === HANDED_OUT);
  });

  test('under 80 messages of 8 MiB stays below 300 MB, and parks each with the beginning of its body', async () => {
    const sender = await pipeline.startSender({ SENDER_CONCURRENCY: '100', MEAN_PROCESSING_TIME: '0.5' });
    const body = Buffer.alloc(8 * 2 ** 20, 'x');
    const before = sender.highestResidentBytes() / 1e6;
    for (let index = 0; index < 80; index += 1) {
      publish(body, { messageId: `big-${index}`, headers: { run: 'big' } });
      if (index % 4 === 3) await channel.waitForConfirms();
    }
    await waitFor('80 parked records', async () => (await parkedRecords()).length === 80);
    const peak = sender.highestResidentBytes() / 1e6;
    expect(peak, `before: ${before} MB`).toBeLessThan(300);
    const [record] = await parkedRecords();
    expect(record).toMatchObject({
      reason: expect.stringMatching('^body is over 64 KiB'),
      rawBytes: body.length,
    });
    expect(Buffer.from(record?.raw ?? '', 'base64')).toEqual(body.subarray(0, 8_192));
    expect(record?.rawDigest).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('what RabbitMQ itself takes out of a queue', () => {
  test('because a client let it expire, gets a record and is counted', async () => {
    // Declares the queues, and ends.
    await (await pipeline.startSender()).stop();
    for (let index = 0; index < 3; index += 1)
      publish(SMS, { messageId: `late-${index}`, expiration: '300', headers: { run: 'late' } });
    await channel.waitForConfirms();
    const depthOf = async (queue: string) =>
      (await channel.checkQueue(`${pipeline.queueName}.${queue}`)).messageCount;
    await waitFor('the SMS to expire', async () => (await depthOf('work')) === 0);
    await pipeline.startSender();
    await waitFor('the SMS to be parked', async () => (await parkedRecords()).length === 3);
    expect((await parkedRecords()).map(({ smsId, run, reason }) => [smsId, run, reason]).sort()).toEqual(
      [0, 1, 2].map((index) => [`late-${index}`, 'late', EXPIRED]),
    );
    const [message] = await parkedMessages();
    expect(message?.properties.headers).toMatchObject({ 'parked-reason': EXPIRED });
    expect(await pipeline.waitUntilDone(3)).toMatchObject({ accepted: 3, parked: 3, inProgress: 0 });
    const { exitCode, report } = await pipeline.audit();
    expect([exitCode, report.balanced, report.parked, report.problems]).toEqual([0, true, 3, []]);
  });

  test('because somebody rejected it in the management UI, gets a record and is counted', async () => {
    await (await pipeline.startSender()).stop();
    publish(SMS, { messageId: 'rejected-1', headers: { run: 'rejected' } });
    await channel.waitForConfirms();
    await api.call('POST', `queues/%2F/${pipeline.queueName}.work/get`, {
      ...{ count: 1, ackmode: 'reject_requeue_false', encoding: 'auto' },
    });
    await pipeline.startSender();
    await waitFor('the SMS to be parked', async () => (await parkedRecords()).length === 1);
    expect(await parkedRecords()).toMatchObject([
      { smsId: 'rejected-1', reason: expect.stringMatching('^was rejected: ') },
    ]);
  });
});

describe('a recorder', () => {
  const forged = (text: string) =>
    Buffer.from(
      `{"smsId":"forged-1","run":"forged","queue":"${pipeline.queueName}","to":"+15550100001","text":${text},` +
        '"status":"sent","acceptedAt":"2026-11-22T10:00:00.000Z","finishedAt":"2026-11-22T10:00:00.000Z","attempts":[]}\n',
    );

  test.each([
    ['an outcome whose text is nested 8,000 deep', () => forged(DEEP)],
    [
      'settings that are nested 8,000 deep',
      () =>
        Buffer.from(
          `{"entry":"sender","sender":"a1","at":"2026-11-22T10:00:00.000Z","settings":{"seed":${DEEP}}}\n`,
        ),
    ],
    [
      'an announcement that is nested 8,000 deep',
      () =>
        Buffer.from(
          `{"entry":"accepted","run":"deep","queue":"${pipeline.queueName}","accepted":0,"acceptedUpTo":0,` +
            `"input":"generated","at":"2026-11-22T10:00:00.000Z","deep":${DEEP}}\n`,
        ),
    ],
    ['no JSON', () => Buffer.from('no JSON\n')],
    ['nothing but bytes', () => Buffer.from([0xff, 0x00, 0x0a, 0xfe])],
  ])('goes on recording after a journal message with %s', async (_, body) => {
    const sender = await pipeline.startSender();
    for (let index = 0; index < 5; index += 1) publish(body(), { type: 'journal' }, 'journal');
    await channel.waitForConfirms();
    await expectGoodSmsToPass();
    await waitFor('the journal to be empty', async () => {
      const { queues, inProgress } = await pipeline.snapshot();
      return queues.journal === 0 && inProgress === 0;
    });
    expect(sender.stdout).not.toContain('recording broke off');
  });

  test('records what stands beside a line of a newer version, and keeps that line', async () => {
    await pipeline.startSender();
    const line = '{"entry":"receipt","smsId":"good-000001"}';
    publish(Buffer.concat([forged('"hello"'), Buffer.from(`${line}\n`)]), { type: 'journal' }, 'journal');
    await channel.waitForConfirms();
    await waitFor('the outcome beside it', async () =>
      (await pipeline.records()).some(({ smsId }) => smsId === 'forged-1'),
    );
    await waitFor('the line to be kept', async () => (await pipeline.snapshot()).queues.later === 1);
    const { problems, parked } = await pipeline.snapshot();
    expect(parked).toBe(0);
    expect(problems).toEqual([
      expect.stringContaining('1 journal message waits for a newer version of Redial'),
    ]);
  });
});

describe('a client that may only send SMS', () => {
  test('cannot write to the journal, the due queue or the parked queue', async () => {
    await pipeline.startSender();
    const user = pipeline.queueName;
    await api.call('PUT', `users/${user}`, { password: 'secret', tags: '' });
    await api.call('PUT', `permissions/%2F/${user}`, {
      configure: '^$',
      write: `^${pipeline.queueName}$`,
      read: '^$',
    });
    const url = new URL(servers.rabbitmqUrl);
    const limited = await connect(`amqp://${user}:secret@${url.host}`);
    try {
      const sends = async (exchange: string, routingKey: string) => {
        const own = await limited.createConfirmChannel();
        own.on('error', () => {});
        own.publish(exchange, routingKey, SMS, { messageId: 'limited-1', mandatory: true });
        return own.waitForConfirms().then(
          () => 'confirmed',
          () => 'refused',
        );
      };
      expect(await sends(pipeline.queueName, 'work')).toBe('confirmed');
      for (const key of ['journal', 'due', 'parked', 'dead-letters', 'journal.later']) {
        expect(await sends(`${pipeline.queueName}.internal`, key)).toBe('refused');
        expect(await sends('', `${pipeline.queueName}.${key}`)).toBe('refused');
      }
    } finally {
      await limited.close();
      await api.call('DELETE', `users/${user}`);
    }
    // What the exchange of SMS has no queue for is returned, not taken.
    channel.publish(pipeline.queueName, 'journal', SMS, { mandatory: false });
    await channel.waitForConfirms();
    expect((await pipeline.waitUntilDone(1)).accepted).toBe(1);
  });
});

test('a pipeline that an older version made is left as it is, with a sentence that says what to do', async () => {
  const name = pipeline.queueName;
  await channel.assertExchange(name, 'direct', { durable: true });
  for (const key of ['journal', 'due', 'work']) {
    await channel.assertQueue(`${name}.${key}`, {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-overflow': 'reject-publish',
        'x-dead-letter-exchange': name,
        'x-dead-letter-routing-key': 'parked',
        'x-dead-letter-strategy': 'at-least-once',
        'x-delivery-limit': 1_000_000,
      },
    });
    await channel.bindQueue(`${name}.${key}`, name, key);
  }
  publish(SMS, { messageId: 'old-1' });
  await channel.waitForConfirms();
  const { exitCode, stderr } = await pipeline.start('sender').ended;
  expect(exitCode).toBe(69);
  expect(stderr).toContain('An older version of Redial may have made it. Use another QUEUE_NAME, or let');
  expect((await channel.checkQueue(`${name}.work`)).messageCount).toBe(1);
});

/** Publishes with a content type of bytes that are no UTF-8: amqplib would not write it, another client may. */
async function publishWithBytesAsContentType(messageIds: readonly string[]): Promise<void> {
  const placeholder = Buffer.alloc(120, '~');
  const own = await connect(servers.rabbitmqUrl);
  const { stream } = own.connection as unknown as { stream: { write(bytes: Buffer): boolean } };
  const write = stream.write.bind(stream);
  stream.write = (bytes) => {
    const at = bytes.indexOf(placeholder);
    return write(at < 0 ? bytes : Buffer.from(bytes).fill(0xff, at, at + placeholder.length));
  };
  const channel = await own.createConfirmChannel();
  for (const messageId of messageIds)
    channel.publish(pipeline.queueName, 'work', SMS, { messageId, contentType: placeholder.toString() });
  await channel.waitForConfirms();
  await own.close();
}
