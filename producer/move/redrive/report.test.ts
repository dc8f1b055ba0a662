import { expect, test } from 'vitest';
import { describeRest, renderDryRun, renderRedrive } from './report.ts';

test('a dry run tells the reasons, the most frequent first, and what cannot be sent again', () => {
  const byReason = { 'carrier busy': 1_200, 'a\u001b[2J': 3 };
  expect(renderDryRun({ status: 'failed', selected: 1_203, byReason, left: 0 })).toBe(
    '1,203 failed SMS would be sent again\n  1,200  carrier busy\n      3  a\\u001b[2J\n',
  );
  expect(renderDryRun({ status: 'parked', selected: 1, byReason: { long: 1 }, left: 1 })).toContain(
    '1 of them cannot be sent again',
  );
});

test('a redrive tells what it sent, and an interrupted one how it goes on', () => {
  const counts = { selected: 1_000, before: 10, sent: 28, failedAgain: 2, left: 1, batches: 4, seconds: 3.5 };
  expect(renderRedrive({ run: 'again', status: 'failed', ...counts, end: 'done' }).split('\n')).toEqual([
    'Run       again',
    'Sent      28 of 1,000 SMS in 4 batches',
    'Before    10 SMS, sent by an earlier call',
    'Failed    2 SMS failed again',
    'Left      1 that cannot be sent again',
    'Took      3.5 s',
    '',
  ]);
  expect(describeRest('again', 38)).toMatch(/^38 SMS of run again are sent\. .* --run again goes on/);
});
