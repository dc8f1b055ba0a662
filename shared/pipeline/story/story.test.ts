import { expect, test } from 'vitest';
import type { OutcomeRecord } from '../../domain/outcome/outcome.ts';
import { storyOfRecord, storySchema } from './story.ts';

const RECORD: OutcomeRecord = {
  ...{ smsId: 'again-1', run: 'again', queue: 'sms', status: 'failed', reason: 'expired' },
  ...{ to: '+15550100001', text: 'hello', from: 'Shop', reference: 'r-1', priority: 'high' },
  ...{ acceptedAt: '2026-11-22T10:00:00.000Z', finishedAt: '2026-11-22T10:00:09.900Z' },
  ...{ notBefore: '2026-11-22T10:00:05.000Z', expiresAt: '2026-11-22T10:00:09.000Z' },
  ...{ redriveOf: 'first-1', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
  attempts: [
    {
      ...{ attempt: 1, startedAt: '2026-11-22T10:00:05.002Z', lateMs: 2, tookMs: 900 },
      ...{ result: 'failed', reason: 'timeout' },
    },
  ],
};

test('the story of a record tells all of it, and nothing that the schema does not name', () => {
  const { smsId, queue: _, status: __, notBefore, ...same } = RECORD;
  const story = storyOfRecord({ record: RECORD, key: 'failed/a.ndjson' });
  expect(story).toEqual({
    ...same,
    ...{ id: smsId, state: 'expired', sendAt: notBefore, record: 'failed/a.ndjson' },
  });
  expect(storySchema.strict().parse(story)).toEqual(story);
});
