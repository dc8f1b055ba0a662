import { expect, it } from 'vitest';
import { forAll } from '../../tests/kit/for-all.ts';
import { anySnapshot, GOING_WELL } from '../../tests/kit/snapshots.ts';
import { isWorthKeeping, MAX_SAMPLE_BYTES, readSample, sampleOf } from './history.ts';

it('a sample holds numbers of its snapshot, and what is not known stays unknown', () => {
  expect(sampleOf(GOING_WELL)).toMatchObject({
    ...{ at: Date.parse(GOING_WELL.at), accepted: 10_000, sent: GOING_WELL.sent, failed: GOING_WELL.failed },
    retry: GOING_WELL.queues.retry.map(({ attempt, delaySeconds, messages }) => [
      attempt,
      delaySeconds,
      messages,
    ]),
  });
  const unknown = sampleOf({ ...GOING_WELL, accepted: null, attempts: null, lastTenSeconds: null });
  expect(unknown).toMatchObject({
    accepted: null,
    first: null,
    retried: null,
    processing: [null, null, null],
  });
  expect(sampleOf({ ...GOING_WELL, attempts: 13, attemptsByNumber: { '1': 10, '2': 3 } })).toMatchObject({
    ...{ first: 10, retried: 3 },
  });
});

it('a sample is read as it was written, and fits, whatever the numbers are', () => {
  forAll(anySnapshot, (snapshot) => {
    const text = JSON.stringify(sampleOf(snapshot));
    expect(readSample(text)).toEqual(sampleOf(snapshot));
    expect(text.length).toBeLessThan(MAX_SAMPLE_BYTES);
  });
});

it('the longest schedule and the longest reasons fit into a sample', () => {
  const retry = Array.from({ length: 50 }, (_, index) => ({
    ...{ attempt: index + 1, delaySeconds: 31_536_000 - index, messages: 1_999_999_999 },
  }));
  const failedByReason = Object.fromEntries(
    Array.from({ length: 50 }, (_, index) => [`${index}`.padEnd(80, '"'), 1_999_999_999]),
  );
  const text = JSON.stringify(
    sampleOf({ ...GOING_WELL, failedByReason, queues: { ...GOING_WELL.queues, retry } }),
  );
  expect(text.length).toBeLessThan(MAX_SAMPLE_BYTES);
});

it.each(['', '{', 'null', '[]', '{"at":"now"}', '{"at":1,"retry":[["<img>",1,2]]}'])(
  'what nobody of ours wrote is no sample: %s',
  (text) => expect(readSample(text)).toBeUndefined(),
);

it('numbers of a moment that is over, or that are not whole, are not kept', () => {
  expect(isWorthKeeping(GOING_WELL)).toBe(true);
  expect(isWorthKeeping({ ...GOING_WELL, state: 'stale' })).toBe(false);
  expect(isWorthKeeping({ ...GOING_WELL, state: 'rebuilding' })).toBe(false);
});

it('a sample of a version that kept no reasons can be read', () => {
  const { reasons, ...older } = sampleOf(GOING_WELL);
  expect(reasons).not.toBeNull();
  expect(readSample(JSON.stringify(older))).toEqual({ ...older, reasons: null });
});
