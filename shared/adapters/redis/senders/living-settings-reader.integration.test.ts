import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { RecordedLog } from '../../../../tests/kit/recorded-log.ts';
import { RealStores } from '../../../../tests/kit/stores/real-stores.ts';
import { RedisConnection } from '../connection.ts';
import { RedisLivingSettingsReader } from './living-settings-reader.ts';

const servers = inject('servers');
const stores = new RealStores(servers);
const prefix = `living-${process.pid}-${Date.now().toString(36)}`;
const connection = new RedisConnection({ url: servers.redisUrl, log: new RecordedLog() });
const reader = new RedisLivingSettingsReader(connection, prefix);
const settings = {
  ...{ meanProcessingSeconds: 0.2, processingTimeDistribution: 'constant', failureRate: 0.2, seed: 1 },
  ...{ permanentFailureShare: 0, retrySchedule: '1s,2s', concurrency: 100 },
};
const at = '2026-11-22T10:00:00.000Z';

beforeAll(async () => {
  await stores.open();
  await connection.open(60_000);
});
afterAll(() => {
  connection.close();
  stores.close();
});

test('the settings of living senders are told, without those of the one that asks and of those that have left', async () => {
  expect(await reader.readOthers('mine')).toEqual([]);
  const counters = Object.fromEntries(
    ['mine', 'other', 'silent', 'left'].map((id) => [id, stores.counters(prefix, id)]),
  );
  await counters.mine?.beginRebuild();
  await counters.mine?.endRebuild();
  for (const each of Object.values(counters)) await each.signalLife(true);
  await counters.mine?.record(
    ['mine', 'other', 'left'].map((sender) => ({
      kind: 'sender',
      sender,
      at,
      settings: { ...settings, seed: sender.length },
    })),
  );
  await counters.left?.leave();
  expect(await reader.readOthers('mine')).toEqual([{ ...settings, seed: 5 }]);
  expect(await reader.readOthers('other')).toEqual([{ ...settings, seed: 4 }]);
});

test('a sender that has given no sign of life for a while is not told', async () => {
  await stores.command('ZADD', `${prefix}:alive`, 1, 'other');
  expect(await reader.readOthers('mine')).toEqual([]);
});

test('settings that cannot be read are left out', async () => {
  await stores.counters(prefix, 'other').signalLife(true);
  for (const text of ['{', 'null', '7']) {
    await stores.command('HSET', `${prefix}:senders`, 'other', text);
    expect(await reader.readOthers('mine')).toEqual([]);
  }
});
