import { expect, test } from 'vitest';
import type { SenderSettings } from '../../shared/domain/sender-settings.ts';
import { ServerUnavailableError } from '../../shared/errors.ts';
import { ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { tellDifferences } from './tell-differences.ts';

const settings: SenderSettings = {
  ...{ meanProcessingSeconds: 0.5, processingTimeDistribution: 'exponential', failureRate: 0.1 },
  ...{ permanentFailureShare: 0, retrySchedule: '5s,30s', concurrency: 100, seed: 1 },
};
const other = { ...settings, retrySchedule: '1s,2s' };
const away = () => {
  throw new ServerUnavailableError('Redis did not answer', { isRefusal: false });
};

/** What a sender says whose looks at the others find this, one after the other. */
async function say(...looks: (() => readonly object[])[]) {
  const clock = new ManualClock();
  const log = new RecordedLog();
  const shutdown = new AbortController();
  let lookCount = 0;
  const readOthers = async () => (looks[lookCount++] ?? looks.at(-1) ?? away)();
  const told = tellDifferences(settings, readOthers, clock, log, shutdown.signal);
  await clock.advance(60_000);
  await told;
  return { messages: log.messages, lookCount, timerCount: clock.timerCount };
}

test('a sender with another schedule than the others says so once', async () => {
  const { messages, lookCount } = await say(() => [other, settings]);
  expect(messages).toEqual([
    'other settings than senders that run already: RETRY_SCHEDULE 5s,30s (others: 1s,2s); what becomes of an SMS depends on which of them takes it',
  ]);
  expect(lookCount).toBe(1);
});

test('a sender that starts at the same moment, or while Redis is just coming, is found a little later', async () => {
  expect(
    (
      await say(
        away,
        () => [],
        () => [other],
      )
    ).messages,
  ).toHaveLength(1);
});

test('a sender like the others, one that is alone and one without Redis say nothing and look no more', async () => {
  for (const look of [() => [settings], () => [], away]) {
    const { messages, lookCount, timerCount } = await say(look);
    expect(messages).toEqual([]);
    expect(lookCount).toBeLessThanOrEqual(5);
    expect(timerCount).toBe(0);
  }
});

test('a sender that is told to end looks no more at once', async () => {
  const clock = new ManualClock();
  const shutdown = new AbortController();
  const log = new RecordedLog();
  const told = tellDifferences(settings, async () => [], clock, log, shutdown.signal);
  await clock.advance(500);
  shutdown.abort();
  await told;
  expect(clock.timerCount).toBe(0);
});
