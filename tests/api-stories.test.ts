/** Stories and lists of `producer serve`, SMS by SMS, against what the simulated carrier must make of each. */
import { Redis } from 'ioredis';
import { afterEach, expect, inject, test } from 'vitest';
import { redisKeysOf } from '../shared/adapters/redis/keys.ts';
import type { SimulationSettings } from '../shared/domain/simulation/simulation.ts';
import { type Fate, fateOf } from '../shared/pipeline/fate.ts';
import type { Story } from '../shared/pipeline/story/story.ts';
import { ApiUnderTest } from './kit/process/api-under-test.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { carrierEnvironmentOf } from './kit/process/predicted-carrier.ts';
import { waitUntil } from './kit/wait-for.ts';

const SIMULATION: SimulationSettings = {
  ...{ seed: 7, meanProcessingMs: 50, distribution: 'exponential' as const, failureRate: 0.5 },
  ...{ permanentFailureShare: 0.2, unknownShare: 0.2 },
};
// The last wait is longer than what may expire is valid.
const SCHEDULE = [300, 500, 120_000];
const VALID_FOR = '60s';
const COUNT = 300;
const AT_ONCE = 16;
const SETTINGS = { simulation: SIMULATION, schedule: SCHEDULE };
const ENDED = new Set(['sent', 'failed', 'cancelled', 'expired']);
const servers = inject('servers');
const pipeline = new PipelineUnderTest(servers, 'api-stories', {
  ...carrierEnvironmentOf(SIMULATION, SCHEDULE),
  ...{ CARRIER_CAPACITY: '150', KEEP_TIME: '15s', OUTCOME_BATCH_SECONDS: '0.2' },
});
const redis = new Redis(servers.redisUrl);
afterEach(async () => {
  redis.disconnect();
  await pipeline.end();
});

const idOf = (index: number) => `story:${index}`;
const isCancelled = (index: number) => index % 100 === 50;

function requestOf(index: number): object {
  const sms = { to: '+4915112345678', text: `${index}`, id: idOf(index) };
  if (isCancelled(index)) return { ...sms, sendAt: '1h' };
  const mayExpire = fateOf(SETTINGS, sms.id).attempts.length > SCHEDULE.length;
  return {
    ...sms,
    ...(index % 10 === 0 ? { sendAt: '3s' } : {}),
    ...(index % 5 === 1 ? { priority: index % 2 === 0 ? 'high' : 'low' } : {}),
    ...(mayExpire ? { validFor: VALID_FOR } : {}),
  };
}

function fateOfStory({ id, acceptedAt = '', sendAt, expiresAt }: Story): Fate {
  const timeOf = (text: string | undefined) => (text === undefined ? undefined : Date.parse(text));
  const acceptedAtMs = Date.parse(acceptedAt);
  const isToBeCancelled = isCancelled(Number(id.split(':')[1]));
  return fateOf(SETTINGS, id, {
    ...{ acceptedAtMs, notBeforeMs: timeOf(sendAt), expiresAtMs: timeOf(expiresAt) },
    cancelledAtMs: isToBeCancelled ? acceptedAtMs : undefined,
  });
}

/** What a story says that its fate does not. */
function differencesOf(story: Story): string[] {
  const fate = fateOfStory(story);
  const results = story.attempts.map(({ result }) => result);
  const fated = fate.attempts.map(({ result }) => result.kind);
  const isOver = ENDED.has(story.state) && story.record !== undefined;
  const state = fate.reason === 'cancelled' || fate.reason === 'expired' ? fate.reason : fate.status;
  const seen = `${story.id}: ${story.state} ${results} ${story.reason}, fated ${state} ${fated} ${fate.reason}`;
  const isRight = isOver
    ? story.state === state && story.reason === fate.reason && `${results}` === `${fated}`
    : `${results}` === `${fated.slice(0, results.length)}` &&
      (!ENDED.has(story.state) || story.state === fate.status);
  return isRight ? [] : [seen];
}

test('each story and each list tells what was fated, while the run is under way, after it, and with KEEP_TIME over', async () => {
  const [api] = await Promise.all([
    ApiUnderTest.start(pipeline),
    pipeline.startSender(),
    pipeline.startSender(),
  ]);
  const lines = Array.from({ length: COUNT }, (_, index) => JSON.stringify(requestOf(index)));
  const ndjson = { 'content-type': 'application/x-ndjson' };
  const { body: answers } = await api.ask('POST', '/messages/bulk', lines.join('\n'), ndjson);
  expect(answers.match(/"error"/g)).toBeNull();
  const cancelling = Promise.all(
    Array.from({ length: COUNT }, (_, index) => index)
      .filter(isCancelled)
      .map(async (index) => expect((await api.ask('DELETE', `/messages/${idOf(index)}`)).status).toBe(200)),
  );
  const done = new Map<number, Story>();
  const askAll = async () => {
    const open = Array.from({ length: COUNT }, (_, index) => index)
      .filter((index) => !done.has(index))
      .values();
    const asking = Array.from({ length: AT_ONCE }, async () => {
      for (const index of open) {
        const { status, body } = await api.get(`/messages/${idOf(index)}`);
        expect([idOf(index), status], api.process.stdout.slice(-1_500)).toEqual([idOf(index), 200]);
        expect(differencesOf(body).filter(() => !isCancelled(index) || ENDED.has(body.state))).toEqual([]);
        if (body.record !== undefined) done.set(index, body);
      }
    });
    await Promise.all(asking);
    return done.size;
  };
  await waitUntil('all outcomes', askAll, (count) => count === COUNT);
  const told = Array.from({ length: COUNT }, (_, index) => done.get(index)).filter(
    (each) => each !== undefined,
  );
  await cancelling;
  const states = new Set(told.map(({ state }) => state));
  expect([...states].sort()).toEqual(['cancelled', 'expired', 'failed', 'sent']);
  const reasons = new Set(told.map(({ reason }) => reason));

  const listed = async (path: string) => {
    const found: Story[] = [];
    for (let cursor = ''; ; ) {
      const { status, body } = await api.get(`${path}${path.includes('?') ? '&' : '?'}limit=70${cursor}`);
      expect(status).toBe(200);
      found.push(...body.messages);
      if (body.cursor === undefined) return found;
      cursor = `&cursor=${body.cursor}`;
    }
  };
  const byId = (left: Story, right: Story) => (left.id < right.id ? -1 : 1);
  const expectListed = async (path: string, isMeant: (story: Story) => boolean) =>
    expect((await listed(path)).sort(byId)).toEqual(told.filter(isMeant).sort(byId));
  await expectListed('/messages', () => true);
  await expectListed('/messages/success', ({ state }) => state === 'sent');
  await expectListed('/messages/failed', ({ state }) => state !== 'sent');
  for (const reason of reasons)
    if (reason !== undefined)
      await expectListed(
        `/messages/failed?reason=${encodeURIComponent(reason)}`,
        (story) => story.reason === reason,
      );

  const keys = redisKeysOf(pipeline.queueName);
  await waitUntil(
    'KEEP_TIME to be over',
    () => redis.keys(keys.sms('*')),
    ({ length }) => length === 0,
  );
  for (const index of [0, 1, 2, 50, 99, COUNT - 1])
    expect((await api.get(`/messages/${idOf(index)}`)).body).toEqual(told[index]);
  expect(await api.get('/messages/story:nobody')).toMatchObject({ status: 404 });
});
