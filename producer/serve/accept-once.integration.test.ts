import { hash } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { RedisRequestStore } from '../../shared/adapters/redis/clients/request-store.ts';
import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import { redisKeysOf } from '../../shared/adapters/redis/keys.ts';
import { CONTENT_DIGEST_DIGITS, contentOf } from '../../shared/domain/outcome/outcome.ts';
import { PublishUnknownError } from '../../shared/errors.ts';
import { systemClock } from '../../shared/process/system-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { RecordingBulkPublisher } from '../../tests/kit/recording-publisher.ts';
import { waitFor } from '../../tests/kit/wait-for.ts';
import { AcceptOnce } from './accept-once.ts';
import { SmsIntake } from './sms-intake.ts';

const prefix = `once-${process.pid}-${Date.now().toString(36)}`;
const connection = new RedisConnection({ url: inject('servers').redisUrl, log: new RecordedLog() });
const digest = (text: string) => hash('sha256', text, 'hex');

beforeAll(() => connection.open(60_000));
afterAll(async () => {
  const { redis } = connection.session();
  const keys = await redis.keys(`${prefix}:*`);
  if (keys.length > 0) await redis.del(keys);
  connection.close();
});

class SmsPublisher extends RecordingBulkPublisher {
  get smsIds(): string[] {
    return this.published.filter(({ type }) => type === 'sms').map(({ messageId }) => messageId);
  }
}

let processCount = 0;

/** One process of the API. */
function createProcess() {
  processCount += 1;
  const publisher = new SmsPublisher();
  const intake = new SmsIntake(
    {
      ...{ queueName: prefix, shardCount: 1, confirmWithinMs: 200, processMark: `00000${processCount}` },
      ...{ announceEvery: 500, announceAgainMs: 3_600_000 },
    },
    { publisher, clock: systemClock, log: new RecordedLog(), random: () => 0.5 },
  );
  const requests = new RedisRequestStore(connection, prefix, `process-${processCount}`);
  const once = new AcceptOnce({ intake, requests, clock: systemClock, digest });
  return { publisher, requests, once };
}

function requestOf(more: { readonly id?: string; readonly idempotencyKey?: string }, text = 'hello') {
  return { content: { to: '+4915112345678', text }, sending: {}, asWritten: text, ...more };
}

test('a repetition that is refused while the first request is in doubt does not make a second SMS possible', async () => {
  const { publisher, once } = createProcess();
  publisher.confirmsAtOnce = false;
  const request = requestOf({ idempotencyKey: 'pair' });
  const first = once.accept(request);
  await waitFor('the first one to be published', () => publisher.smsIds.length === 1);
  const second = once.accept(request);
  await expect(first).rejects.toMatchObject({ reason: 'unanswered' });
  // The connection ends: RabbitMQ may have the SMS.
  publisher.trouble = 'away';
  publisher.open[0]?.fail(new PublishUnknownError('the connection ended'));
  await expect(second).rejects.toMatchObject({ reason: 'away' });

  publisher.trouble = undefined;
  publisher.confirmsAtOnce = true;
  const { id } = await once.accept(request);
  expect(publisher.smsIds).toEqual([id, id]);
  expect(await once.accept(request)).toMatchObject({ id, isRepeated: true });
});

test('what recorders have met is truer than a claim that was left open', async () => {
  const { requests, publisher, once } = createProcess();
  const request = requestOf({ id: 'left-open' });
  const claim = {
    ...{ name: 'id:left-open', smsId: 'left-open', told: '{}', contentDigest: 'x' },
    digest: digest('never sent').slice(0, 16),
  };
  expect(await requests.claim(claim, 60)).toMatchObject({ answer: 'claimed' });
  const met = digest(contentOf(request.content)).slice(0, CONTENT_DIGEST_DIGITS);
  // As record.lua writes it: the phase, three fields, and the digest of the content.
  await connection.session().redis.set(redisKeysOf(prefix).sms('left-open'), `s||||${met}|`);
  expect(await once.accept(request)).toMatchObject({ id: 'left-open', isRepeated: true });
  await expect(once.accept(requestOf({ id: 'left-open' }, 'never sent'))).rejects.toMatchObject({
    kind: 'id',
  });
  expect(publisher.smsIds).toEqual([]);
});

test('an SMS that recorders have met is not sent again where its claim by a key was left open', async () => {
  const { requests, publisher, once } = createProcess();
  const request = requestOf({ idempotencyKey: 'left-open-key' });
  const name = `key:${digest('left-open-key').slice(0, 32)}`;
  const claim = {
    ...{ name, digest: digest(request.asWritten).slice(0, 16), smsId: 'met-1', told: '{}' },
    contentDigest: '',
  };
  await requests.claim(claim, 60);
  await requests.letGo(claim);
  await connection.session().redis.set(redisKeysOf(prefix).sms('met-1'), 'p|||||');
  expect(await once.accept(request)).toMatchObject({ id: 'met-1', isRepeated: true });
  expect(publisher.smsIds).toEqual([]);
});

test('two at once are one SMS, of one process or of two', async () => {
  const [one, other] = [createProcess(), createProcess()];
  const request = requestOf({ idempotencyKey: 'both' });
  const answers = await Promise.all([one, other, one].map(({ once }) => once.accept(request)));
  expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
  expect(answers.filter(({ isRepeated }) => !isRepeated).length).toBe(1);
  expect([...one.publisher.smsIds, ...other.publisher.smsIds].length).toBe(1);
  await expect(one.once.accept(requestOf({ idempotencyKey: 'both' }, 'other'))).rejects.toMatchObject({
    kind: 'key',
  });
});
