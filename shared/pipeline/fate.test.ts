import { describe, expect, it } from 'vitest';
import { parseSendingWindow, type SendingWindow } from '../domain/schedule/sending-window.ts';
import type { SimulationSettings } from '../domain/simulation/simulation.ts';
import { smsIdOf } from '../domain/sms/sms.ts';
import { type Fate, type FateSettings, type FateTimes, fateOf, fateOfAttempt } from './fate.ts';

const SIMULATION: SimulationSettings = {
  seed: 7,
  meanProcessingMs: 10,
  distribution: 'constant',
  failureRate: 0.5,
  permanentFailureShare: 0.2,
};
const SCHEDULE = [1_000, 2_000];

/** One word for each attempt, with the wait after it: `timeout 1000, sent`. */
function storyOf({ attempts }: Fate): string {
  return attempts
    .map(({ result, next, startsAtMs, processingMs }) => {
      const wait = next.kind === 'retry' ? ` ${next.notBeforeMs - startsAtMs - processingMs}` : '';
      return (result.kind === 'sent' ? 'sent' : result.reason) + wait;
    })
    .join(', ');
}

function settingsWith(changes: Partial<SimulationSettings>, schedule = SCHEDULE): FateSettings {
  return { simulation: { ...SIMULATION, ...changes }, schedule };
}

describe('the fate of an SMS', () => {
  it.each([
    ['demo-000001', 'sent', 'sent'],
    ['demo-000006', 'sent', 'handset unreachable 1000, sent'],
    ['demo-000008', 'failed', 'blocked'],
    ['demo-000010', 'failed', 'timeout 1000, blocked'],
    ['demo-000023', 'failed', 'carrier unavailable 1000, carrier unavailable 2000, unknown subscriber'],
  ])('%s is %s after %s', (smsId, status, story) => {
    const fate = fateOf(settingsWith({}), smsId);
    expect([fate.status, storyOf(fate)]).toEqual([status, story]);
  });

  it.each([
    ['no attempt fails', { failureRate: 0 }, SCHEDULE, 'sent', 1],
    ['each fails for a while', { failureRate: 1, permanentFailureShare: 0 }, SCHEDULE, 'failed', 3],
    ['each fails for good', { failureRate: 1, permanentFailureShare: 1 }, SCHEDULE, 'failed', 1],
    ['each fails and there is no retry', { failureRate: 1, permanentFailureShare: 0 }, [], 'failed', 1],
  ])('where %s: %j', (_, changes, schedule, status, attemptCount) => {
    for (let smsNumber = 1; smsNumber <= 50; smsNumber += 1) {
      const fate = fateOf(settingsWith(changes, schedule), smsIdOf('demo', smsNumber));
      expect([fate.status, fate.attempts.length]).toEqual([status, attemptCount]);
      expect(fate.attempts.map(({ attempt, processingMs }) => [attempt, processingMs])).toEqual(
        Array.from({ length: attemptCount }, (_each, index) => [index + 1, 10]),
      );
    }
  });

  it('tells of each attempt what it tells of that attempt alone, and ends with the first that finishes', () => {
    const settings = settingsWith({});
    for (let smsNumber = 1; smsNumber <= 200; smsNumber += 1) {
      const smsId = smsIdOf('demo', smsNumber);
      const { status, attempts } = fateOf(settings, smsId);
      for (const { attempt, processingMs, result, next } of attempts)
        expect(fateOfAttempt(settings, smsId, attempt)).toMatchObject({
          ...{ attempt, processingMs, result },
          next: { kind: next.kind },
        });
      expect(attempts.slice(0, -1).map(({ next }) => next.kind)).not.toContain('finish');
      expect(attempts.at(-1)?.next).toMatchObject({ kind: 'finish', status });
    }
  });

  describe('with times', () => {
    const AT_MS = Date.UTC(2026, 10, 22, 10, 0, 0);
    const window = (parseSendingWindow('10:05-09:00 UTC') as { readonly window: SendingWindow }).window;
    const failing = settingsWith({ failureRate: 1, permanentFailureShare: 0 });
    const unclear = settingsWith({ unknownShare: 1 });
    const wait = { notBeforeMs: AT_MS + 60_000 };

    it.each<[string, FateSettings, Omit<FateTimes, 'acceptedAtMs'>, string | undefined, number[]]>([
      ['starts at once', settingsWith({ failureRate: 0 }), {}, undefined, [0]],
      ['waits for its moment', settingsWith({ failureRate: 0 }), wait, undefined, [60_000]],
      ['does not wait for the past', settingsWith({ failureRate: 0 }), { notBeforeMs: 0 }, undefined, [0]],
      ['waits after each failure', failing, {}, expect.any(String), [0, 1_010, 3_020]],
      [
        'waits from its acceptance',
        { ...failing, anchor: 'accepted' },
        {},
        expect.any(String),
        [0, 1_000, 3_000],
      ],
      [
        'waits from its moment',
        { ...failing, anchor: 'accepted' },
        wait,
        expect.any(String),
        [60_000, 61_000, 63_000],
      ],
      ['waits for the window', { ...failing, window }, {}, expect.any(String), [300_000, 301_010, 303_020]],
      ['is given up when unclear', { ...unclear, unknownResult: 'give-up' }, {}, 'unknown result', [0]],
      ['is repeated when unclear', unclear, {}, 'unknown result', [0, 1_010, 3_020]],
      ['expires before its first attempt', failing, { ...wait, expiresAtMs: AT_MS + 60_999 }, 'expired', []],
      ['expires at the failure before its retry', failing, { expiresAtMs: AT_MS + 2_009 }, 'expired', [0]],
      ['is in time', failing, { expiresAtMs: AT_MS + 2_010 }, 'expired', [0, 1_010]],
      ['is cancelled while it waits', failing, { ...wait, cancelledAtMs: AT_MS + 5 }, 'cancelled', []],
      ['is cancelled before its retry', failing, { cancelledAtMs: AT_MS + 1_010 }, 'cancelled', [0]],
    ])('%s', (_, settings, times, reason, starts) => {
      const fate = fateOf(settings, 'demo-000001', { acceptedAtMs: AT_MS, ...times });
      expect(fate.reason).toEqual(reason);
      expect(fate.attempts.map(({ startsAtMs }) => startsAtMs - AT_MS)).toEqual(starts);
    });
  });

  it('is told also of an attempt beyond the schedule: a sender with an older schedule may make it', () => {
    const { next } = fateOfAttempt(settingsWith({ failureRate: 1 }), 'demo-000001', 9);
    expect(next).toMatchObject({ kind: 'finish', status: 'failed' });
  });
});
