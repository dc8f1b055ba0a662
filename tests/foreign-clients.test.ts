/**
 * The examples of docs/foreign-clients.md, with the clients that are installed on this machine. Nothing is installed for
 * them: Debian has python3-pika, python3-kombu, amqp-tools, librabbitmq-client-java and a JDK.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { OutcomeRecord } from '../shared/domain/outcome/outcome.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { waitFor } from './kit/wait-for.ts';

const TO = '+15550100001';
const TEXT = 'Grüße 🚚';
const PYTHON = '/usr/bin/python3';
const JAVA_CLASSES = ['amqp-client', 'slf4j-api', 'slf4j-nop'].map((name) => `/usr/share/java/${name}.jar`);
const examples = join(import.meta.dirname, '..', 'docs', 'examples');
const servers = inject('servers');
const pipeline = new PipelineUnderTest(servers, 'clients', {
  FAILURE_RATE: '0',
  MEAN_PROCESSING_TIME: '0.02',
});

interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly stdin?: string;
}

interface Client {
  readonly name: string;
  readonly isInstalled: boolean;
  readonly sendingOf: (smsId: string) => Command;
}

const succeeds = (file: string, args: readonly string[]) =>
  spawnSync(file, args, { stdio: 'ignore' }).status === 0;
const python = (name: string, module: string): Client => ({
  name: module,
  isInstalled: succeeds(PYTHON, ['-c', `import ${module}`]),
  sendingOf: (smsId) => ({ file: PYTHON, args: [join(examples, name), smsId, TO, TEXT] }),
});

const pika = python('send_with_pika.py', 'pika');
const kombu = python('send_with_kombu.py', 'kombu');
const java: Client = {
  name: 'the Java client',
  isInstalled: JAVA_CLASSES.every((path) => existsSync(path)) && succeeds('java', ['--version']),
  sendingOf: (smsId) => ({
    file: 'java',
    args: [
      ...['-Dfile.encoding=UTF-8', '-cp', '/usr/share/java/*', join(examples, 'SendWithJava.java'), smsId],
      // The JVM reads arguments in the encoding of the locale.
      '{"to":"+15550100001","text":"Gr\\u00fc\\u00dfe \\ud83d\\ude9a"}',
    ],
  }),
};
const amqpPublish: Client = {
  name: 'amqp-publish',
  isInstalled: succeeds('amqp-publish', ['--help']),
  sendingOf: (id) => ({
    file: join(examples, 'send_with_amqp_publish.sh'),
    args: [],
    stdin: `${JSON.stringify({ id, to: TO, text: TEXT })}\n`,
  }),
};

beforeAll(async () => {
  await pipeline.objects.ensureBucket();
  await pipeline.startSender();
});
afterAll(() => pipeline.end());

/** Runs a program to its end. */
async function run({ file, args, stdin = '' }: Command, environment: Record<string, string> = {}) {
  const { PATH, HOME, RABBITMQ_URL, QUEUE_NAME } = pipeline.environment;
  const env = { PATH, HOME, RABBITMQ_URL, QUEUE_NAME, LC_ALL: 'C.UTF-8', ...environment };
  const child = spawn(file, args, { env, timeout: 60_000 });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  child.stdin.on('error', () => {}).end(stdin);
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  return { exitCode, output };
}

async function recordOf(find: (record: OutcomeRecord) => boolean): Promise<OutcomeRecord> {
  let found: OutcomeRecord | undefined;
  await waitFor('the outcome', async () => {
    found = (await pipeline.records()).find(find);
    return found !== undefined;
  });
  return found as OutcomeRecord;
}

describe.each([pika, kombu, java, amqpPublish])('an SMS of $name', ({ name, isInstalled, sendingOf }) => {
  test.skipIf(!isInstalled)('is sent as the example of the documentation sends it', async () => {
    const smsId = `order:${name.replaceAll(' ', '-')}`;
    const { exitCode, output } = await run(sendingOf(smsId));
    expect(exitCode, output).toBe(0);
    expect(await recordOf((record) => record.smsId === smsId)).toMatchObject({
      ...{ run: 'orders', status: 'sent', to: TO, text: TEXT },
    });
  });

  // The internal exchange has no queue for it. amqp-publish is told of nothing that RabbitMQ returns.
  test.skipIf(!isInstalled || name === amqpPublish.name)(
    'that RabbitMQ returns, because no queue takes it, is an error',
    async () => {
      const { exitCode, output } = await run(sendingOf('order:nowhere'), {
        QUEUE_NAME: `${pipeline.queueName}.internal`,
      });
      expect(exitCode, output).not.toBe(0);
      expect(output).toMatch(/unroutable|returned|no_route|312/i);
      expect(output).not.toContain('is accepted');
    },
  );
});

/** What these clients write when they are used the short way. */
describe('an SMS that says no more than it must', () => {
  const kombuSends = (message: string, more: string) => ({
    file: PYTHON,
    args: [
      '-c',
      'import json, os, kombu\n' +
        'with kombu.Connection(os.environ["RABBITMQ_URL"]) as connection:\n' +
        `  connection.Producer().publish(${message}, exchange=os.environ["QUEUE_NAME"], routing_key="work", ${more})\n`,
    ],
  });
  const fields = (id: string) => `{"id": "${id}", "to": "${TO}", "text": "Hello"}`;
  const publish = (...args: string[]): Command => ({
    file: 'amqp-publish',
    args: ['-u', servers.rabbitmqUrl, '-e', pipeline.queueName, '-r', 'work', ...args],
  });

  test.skipIf(!kombu.isInstalled).each([
    ['a dict', kombuSends(fields('k1'), ''), 'k1'],
    ['a str, which kombu calls text/plain', kombuSends(`json.dumps(${fields('k2')})`, ''), 'k2'],
    [
      'bytes, which kombu calls application/data in binary',
      kombuSends(`json.dumps(${fields('k3')}).encode()`, ''),
      'k3',
    ],
    ['a dict beside a message id', kombuSends(fields('unread'), 'message_id="k4"'), 'k4'],
  ])('is sent when kombu is given %s', async (_, command, smsId) => {
    const { exitCode, output } = await run(command);
    expect(exitCode, output).toBe(0);
    expect(await recordOf((record) => record.smsId === smsId)).toMatchObject({
      run: 'foreign',
      status: 'sent',
    });
  });

  test.skipIf(!kombu.isInstalled).each([
    ['compressed', kombuSends(fields('k5'), 'compression="zlib"'), 'body is not UTF-8: '],
    [
      'pickled',
      kombuSends(fields('k6'), 'serializer="pickle", message_id="k6"'),
      'content type is unknown: ',
    ],
    ['without an id', kombuSends(`{"to": "${TO}", "text": "k7"}`, ''), 'message id is missing: '],
  ])('is parked with how to send it right when kombu sends it %s', async (_, command, reason) => {
    const { exitCode, output } = await run(command);
    expect(exitCode, output).toBe(0);
    const record = await recordOf((each) => each.reason?.startsWith(reason) === true);
    expect(record).toMatchObject({ status: 'parked', reason: expect.stringMatching(/: (send|set) /) });
  });

  test.skipIf(!amqpPublish.isInstalled)('is sent when amqp-publish is given nothing but a body', async () => {
    const { exitCode, output } = await run(publish('-b', fields('a1')));
    expect(exitCode, output).toBe(0);
    expect(await recordOf(({ smsId }) => smsId === 'a1')).toMatchObject({ run: 'foreign', status: 'sent' });
  });

  test.skipIf(!amqpPublish.isInstalled)('is parked when amqp-publish calls it gzip', async () => {
    const { exitCode, output } = await run(publish('-E', 'gzip', '-b', fields('a2')));
    expect(exitCode, output).toBe(0);
    expect(await recordOf(({ smsId }) => smsId === 'a2')).toMatchObject({
      ...{ status: 'parked', contentEncoding: 'gzip' },
      reason: expect.stringMatching(/^content encoding is not utf-8: send the body as it is/),
    });
  });
});
