import { expect, it } from 'vitest';
import type { OutcomeList } from '../../../shared/pipeline/story/outcome-list.ts';
import type { Story } from '../../../shared/pipeline/story/story.ts';
import { ManualClock } from '../../../tests/kit/manual-clock.ts';
import { NewestFailures } from './newest-failures.ts';

const STORY: Story = {
  ...{ id: 'a-1', state: 'failed', to: '+15550100001', text: 'secret', reason: 'no route to +15550100002' },
  ...{
    finishedAt: '2026-11-22T10:00:00.000Z',
    attempts: [{ attempt: 1, startedAt: '', tookMs: 1, result: 'failed' }],
  },
};

function failuresOf(read: () => Promise<{ stories: readonly Story[] }>) {
  const clock = new ManualClock(0);
  let reads = 0;
  const list = {
    read() {
      reads += 1;
      return read();
    },
  } as unknown as OutcomeList;
  return { clock, failures: new NewestFailures(async () => list, clock), reads: () => reads };
}

it('failures are shown without a whole phone number, and without a text', async () => {
  const { failures } = failuresOf(async () => ({ stories: [STORY] }));
  const news = await failures.follow(1);
  expect(news?.rows).toEqual([
    {
      id: 'a-1',
      to: '+1555…0001',
      reason: 'no route to +1555…0002',
      attempts: 1,
      finishedAt: STORY.finishedAt,
    },
  ]);
  expect(JSON.stringify(news)).not.toContain('secret');
});

it('they are read when there are others, and not again and again', async () => {
  const { failures, clock, reads } = failuresOf(async () => ({ stories: [STORY] }));
  expect(await failures.follow(null)).toBeUndefined();
  expect(await failures.follow(0)).toBeUndefined();
  expect(reads()).toBe(0);
  await failures.follow(1);
  await failures.follow(2);
  expect(reads()).toBe(1);
  await clock.advance(3_000);
  await failures.follow(2);
  await clock.advance(3_000);
  expect(await failures.follow(2)).toBeUndefined();
  expect(reads()).toBe(2);
});

it('the last ones stay while S3 does not answer, with the reason why', async () => {
  let isAway = false;
  const { failures, clock } = failuresOf(async () => {
    if (isAway) throw new Error('S3 refused +15550100003');
    return { stories: [STORY] };
  });
  await failures.follow(1);
  isAway = true;
  await clock.advance(3_000);
  const news = await failures.follow(2);
  expect(news?.rows.length).toBe(1);
  expect(news?.problem).toBe('S3 does not tell them: S3 refused +1555…0003');
  isAway = false;
  await clock.advance(3_000);
  expect((await failures.follow(2))?.problem).toBe('');
});
