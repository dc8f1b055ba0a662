import { expect, test } from 'vitest';
import type { SenderSettings } from './sender-settings.ts';
import { describeDifferences } from './sender-settings.ts';

const own: SenderSettings = {
  meanProcessingSeconds: 0.5,
  processingTimeDistribution: 'exponential',
  failureRate: 0.1,
  permanentFailureShare: 0,
  retrySchedule: '5s,30s,2m,10m',
  concurrency: 100,
  seed: 1,
};

test('a sender that works like the others has nothing to tell, however many SMS it sends at once', () => {
  expect(describeDifferences(own, [own, { ...own, concurrency: 1 }])).toBeUndefined();
  expect(describeDifferences(own, [])).toBeUndefined();
});

test('schedule and carrier that differ are told with both values, each other value once', () => {
  const other = { ...own, retrySchedule: '1s,2s,4s', failureRate: 0.2 };
  expect(describeDifferences(own, [other, other, own, { ...other, failureRate: 0.3 }])).toBe(
    'RETRY_SCHEDULE 5s,30s,2m,10m (others: 1s,2s,4s), FAILURE_RATE 0.1 (others: 0.2, 0.3)',
  );
});

test('every setting that decides what becomes of an SMS is compared', () => {
  const other = {
    ...{ meanProcessingSeconds: 1, processingTimeDistribution: 'constant', failureRate: 0.2 },
    ...{ permanentFailureShare: 0.5, retrySchedule: '1s', seed: 2 },
  };
  for (const [name, value] of Object.entries(other))
    expect(describeDifferences(own, [{ ...own, [name]: value }])).toContain(`(others: ${value})`);
});

test('what another version tells differently, or not at all, is no difference', () => {
  const { seed: _, ...older } = own;
  expect(
    describeDifferences(own, [older, { ...own, failureRate: 'often' }, { ...own, more: 1 }]),
  ).toBeUndefined();
});

test('a value that anybody may have written is told in bounds', () => {
  const told = describeDifferences(own, [{ ...own, retrySchedule: 'x'.repeat(1_000) }]);
  expect(told?.length).toBeLessThan(200);
});
