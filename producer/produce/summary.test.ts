import { expect, it } from 'vitest';
import { describeHint, type RunResult, renderSummary, summarize } from './summary.ts';

const DEMO: RunResult = {
  run: 'demo',
  requested: 1_000,
  acceptedBefore: 0,
  acceptedNow: 990,
  mayBeRepeated: 0,
  elapsedMs: 1_500.4,
  badLines: undefined,
};

it('the JSON summary has its fields in order, in seconds', () => {
  expect(JSON.stringify(summarize(DEMO))).toBe(
    '{"run":"demo","requested":1000,"accepted":990,"seconds":1.5,"smsPerSecond":660}',
  );
});

it('the summary of a file tells its bad lines', () => {
  const summary = summarize({
    ...DEMO,
    requested: 12_345,
    acceptedNow: 12_343,
    elapsedMs: 2_000,
    badLines: 2,
  });
  expect(summary).toMatchObject({ badLines: 2 });
  expect(summarize({ ...DEMO, elapsedMs: 0 }).seconds).toBe(0);
  expect(renderSummary(summary)).toBe(
    [
      'Run       demo',
      'Accepted  12,343 of 12,345 SMS',
      'Took      2 s (6,172 SMS/s)',
      'Bad       2 lines, not sent',
      '',
    ].join('\n'),
  );
});

it('the summary of a resumed run tells what was accepted before, what now, and what may be repeated', () => {
  const summary = summarize({ ...DEMO, acceptedBefore: 731, acceptedNow: 269, mayBeRepeated: 12 });
  expect(summary).toMatchObject({ accepted: 1_000, acceptedBefore: 731, mayBeRepeated: 12 });
  expect(renderSummary(summary)).toContain(
    [
      'Accepted  1,000 of 1,000 SMS: 731 before, 269 now',
      'Took      1.5 s (179 SMS/s)',
      'Repeated  at most 12 SMS, which may have been published before',
    ].join('\n'),
  );
});

it('the hint at the end fits what was accepted and who is there to send it', () => {
  const one = { ...summarize({ ...DEMO, acceptedNow: 1 }), run: 'demo' };
  expect(describeHint(one, 2)).toBe('watch them being sent: npx monitor --run demo');
  expect(describeHint(one, undefined)).toBe('watch them being sent: npx monitor --run demo');
  const alone = describeHint(one, 0);
  expect(alone).toContain('unless a sender is just starting');
  expect(alone).toContain('npx sender');
});

it('a run of which nothing was accepted is followed by no hint', () => {
  const nothing = summarize({ ...DEMO, acceptedBefore: 0, acceptedNow: 0 });
  for (const consumerCount of [0, 2, undefined]) expect(describeHint(nothing, consumerCount)).toBeUndefined();
});
