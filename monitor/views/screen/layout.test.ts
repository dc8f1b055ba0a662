import { integer } from 'fast-check';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import { forAll } from '../../../tests/kit/for-all.ts';
import { anySnapshot, GOING_WELL } from '../../../tests/kit/snapshots.ts';
import { createPaint } from '../paint.ts';
import { layOut } from './layout.ts';
import { type Sample, withSample } from './samples.ts';

const SAMPLES: Sample[] = Array.from({ length: 300 }, (_, index) => ({
  ...{ sentPerSecond: index % 90, attemptsPerSecond: index === 290 ? null : index % 100, failureRate: 0.2 },
}));
const plain = createPaint(false);

function draw(changes: Partial<Snapshot>, columns = 80, rows = 24, paint = plain): string[] {
  const snapshot = { ...GOING_WELL, ...changes };
  const seen = { queue: 'sms', snapshot, lastFresh: undefined, samples: SAMPLES, time: '10:00:00' };
  return layOut(seen, { columns, rows }, paint);
}

describe('the screen', () => {
  it('tells all of a run on 80 columns and 24 rows', () => {
    expect(
      `\n${draw({ problems: ['1 sender has given no sign of life'] }).join('\n')}\n`,
    ).toMatchInlineSnapshot(`
      "
      Redial  sms                                                ok  10:00:00  q quits
      Going on with 1 problem: 4,812 of 10,000 have their outcome, done in about 3 min
      ███████████████████████████████████▋░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  48 %
      10,000 accepted = 4,700 sent + 112 failed + 0 parked + 5,188 in progress

      What waits where                         sent/s         80.0 ▃▃▄▄▄▄▅▅▅▆▆▆▆▇▇▇▇██
      high               0                     attempts/s    100.0 ▇▇▇▇▇▇▇▇▇ ▇▇███████
      work           4,000 ██████████████████  failed %       20.0 ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂
      low                0                                   p50   p95   p99   max
      due                8 ▏                   processing   .35s  1.5s  2.3s
      retry 1  5s      740 ███▍                  last 10 s  .35s  1.5s  2.3s
      retry 2  30s     212 █                   retry late    4ms        31ms  .12s
      retry 3  2m       28 ▏                     last 10 s   4ms        31ms
      journal            2 ▏                   senders           5   gateway open
      parked             0                     6,180 attempts, 1,250 failed
                                                 1 5,500 █████████████████████████████
                                                 2   600 ███▏
                                                 3    80 ▍
                                               SMS failed because of
                                                     100 carrier unavailable
                                                      12 timeout
      ! 1 sender has given no sign of life
      "
    `);
  });

  it('never is wider or higher than the terminal, whatever the numbers and texts are', () => {
    const paint = createPaint(true);
    forAll(
      anySnapshot,
      integer({ min: 1, max: 250 }),
      integer({ min: 1, max: 70 }),
      (snapshot, columns, rows) => {
        const lines = draw(snapshot, columns, rows, paint);
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(columns);
        for (const line of lines) expect(line).not.toContain('\n');
      },
    );
  });

  it('is right at each usual width and height', () => {
    const sizes = [
      ...Array.from({ length: 211 }, (_, index) => [40 + index, 24] as const),
      ...Array.from({ length: 61 }, (_, index) => [80, 10 + index] as const),
    ];
    for (const [columns, rows] of sizes) {
      const lines = draw({ problems: ['x'.repeat(300)] }, columns, rows);
      expect(lines.length).toBeLessThanOrEqual(rows);
      expect(Math.max(...lines.map((line) => stringWidth(line)))).toBeLessThanOrEqual(columns);
      expect(lines.join('\n')).toContain('What waits where');
    }
  });

  it('shows what is not known as a hyphen and never as 0', () => {
    const nothing = { work: null, due: null, journal: null, parked: null, high: null, low: null, retry: [] };
    const text = draw({
      ...{ accepted: null, sent: null, failed: null, parked: null, inProgress: null, senders: null },
      queues: { ...GOING_WELL.queues, ...nothing },
      ...{ attempts: null, attemptsFailed: null, attemptsByNumber: {}, failedByReason: {}, gateway: null },
      ...{ attemptsPerSecond: null, sentPerSecond: null, lastTenSeconds: null, state: 'stale' },
      processingSeconds: { p50: null, p95: null, p99: null },
      retryLatenessSeconds: { p50: null, p99: null, max: null },
      problems: ['Redis does not answer: ECONNREFUSED'],
    }).join('\n');
    // Times of day and "last 10 s" hold digits too.
    const numbers = text.replace(/10:00:00|last 10 s|p\d\d/g, '');
    expect(numbers.match(/\d+/g)).toBeNull();
    expect(text).toContain('Redis does not answer: nothing is known yet');
  });

  it('keeps the queues in which something waits where rows are few, and counts what it leaves out', () => {
    const retry = Array.from({ length: 12 }, (_, index) => ({
      ...{ attempt: index + 1, delaySeconds: 60, messages: index % 2 },
    }));
    const lines = draw({ queues: { ...GOING_WELL.queues, retry } }, 80, 20).join('\n');
    expect(lines).toContain('retry 2');
    expect(lines).not.toContain('retry 3');
    const few = draw({ queues: { ...GOING_WELL.queues, retry } }, 80, 12).join('\n');
    expect(few).toMatch(/… \d+ more/);
  });

  it('leaves room for the queues where there are many problems', () => {
    const text = draw({ problems: Array.from({ length: 40 }, (_, index) => `problem ${index}`) }).join('\n');
    expect(text).toContain('What waits where');
    expect(text).toContain('! problem 0');
    expect(text).toContain('… 35 more');
  });

  it('marks numbers of queues that are old', () => {
    expect(draw({}).join()).not.toContain(' ago');
    expect(draw({ queues: { ...GOING_WELL.queues, asOfSeconds: 12 } }).join()).toContain('where, 12s ago');
  });

  it('draws a gap where nothing was known', () => {
    const stale = withSample(SAMPLES, { ...GOING_WELL, state: 'stale' });
    expect(stale.at(-1)?.sentPerSecond).toBeNull();
    expect(withSample(stale, GOING_WELL).at(-1)?.sentPerSecond).toBe(80);
    let many: readonly Sample[] = [];
    for (let index = 0; index < 1_000; index += 1) many = withSample(many, GOING_WELL);
    expect(many).toHaveLength(512);
  });

  it('says that it asks until it knows anything', () => {
    const seen = { queue: 'sms', snapshot: undefined, lastFresh: undefined, samples: [], time: '10:00:00' };
    expect(layOut(seen, { columns: 80, rows: 24 }, plain)[1]).toBe('Asking Redis and RabbitMQ …');
  });

  it('lets no text of others command the terminal', () => {
    const text = draw({ problems: ['\u001b[2J'], failedByReason: { '\u001b[31m': 1 }, run: 'r' }).join('\n');
    expect(text).not.toContain('\u001b');
  });
});
