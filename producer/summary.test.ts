import { expect, it } from 'vitest';
import { describeSummary, summarize } from './summary.ts';

it('the JSON summary has its fields in order, in seconds', () => {
  expect(JSON.stringify(summarize('demo', 1_000, 990, 1_500.4, undefined))).toBe(
    '{"run":"demo","requested":1000,"accepted":990,"seconds":1.5,"smsPerSecond":660}',
  );
});

it('the summary of a file tells its bad lines', () => {
  expect(summarize('demo', 3, 1, 0, 2)).toMatchObject({ badLines: 2, seconds: 0 });
  expect(describeSummary(summarize('demo', 12_345, 12_343, 2_000, 2))).toBe(
    [
      'Run       demo',
      'Accepted  12,343 of 12,345 SMS',
      'Took      2 s (6,172 SMS/s)',
      'Bad       2 lines, not sent',
      '',
    ].join('\n'),
  );
});
