import { describe, expect, it } from 'vitest';
import type { RecentFlow, Snapshot } from '../../shared/domain/snapshot.ts';
import { ConsoleView } from './console-view.ts';
import { renderSummary } from './summary-view.ts';

const FLOW: RecentFlow = {
  attemptsPerSecond: 95.2,
  sentPerSecond: 78.1,
  failureRate: 0.9,
  processingSeconds: { p50: 0.36, p95: 1.6, p99: 2.4 },
  retryLatenessSeconds: { p50: 0.005, p99: 0.032 },
};
const IDLE: RecentFlow = {
  attemptsPerSecond: 0,
  sentPerSecond: 0,
  failureRate: null,
  processingSeconds: { p50: null, p95: null, p99: null },
  retryLatenessSeconds: { p50: null, p99: null },
};
const SNAPSHOT: Snapshot = {
  at: '2026-11-22T10:00:00.000Z',
  accepted: 1_000,
  sent: 930,
  failed: 12,
  parked: 0,
  known: 0,
  inProgress: 58,
  attempts: 1_180,
  attemptsFailed: 250,
  meanProcessingSeconds: 0.51,
  processingSeconds: { p50: 0.35, p95: 1.5, p99: 2.3 },
  attemptsPerSecond: 95.2,
  sentPerSecond: 78.1,
  failureRate: 0.212,
  retryLatenessSeconds: { p50: 0.004, p99: 0.031, max: 0.12 },
  queues: {
    work: 0,
    due: 0,
    journal: 0,
    parked: 0,
    retry: [
      { attempt: 1, delaySeconds: 5, messages: 40 },
      { attempt: 2, delaySeconds: 30, messages: 12 },
      { attempt: 3, delaySeconds: 120, messages: 0 },
    ],
    deadLetters: 0,
    later: 0,
    ...{ high: 0, low: 0, hold: [] },
    asOfSeconds: 0.02,
  },
  senders: 5,
  state: 'ok',
  repeatedSends: 0,
  idConflicts: 0,
  attemptsByNumber: { 1: 1_000, 2: 180 },
  lastTenSeconds: FLOW,
  lastMinute: { ...FLOW, failureRate: 0.5 },
  ...{ unknown: 0, failedByReason: {}, expired: 0, cancelled: 0, held: 0, throttled: 0 },
  gateway: { state: 'open', until: null },
  seenSenders: null,
  problems: [],
};

/** What is printed for several snapshots in turn, line by line. */
function print(snapshots: readonly Partial<Snapshot>[], hasColours = false): string[] {
  const view = new ConsoleView(hasColours);
  return snapshots.flatMap((changes) => view.render({ ...SNAPSHOT, ...changes }));
}

/** The columns where numbers end, which are those where their titles end. */
function endsOf(line: string): number[] {
  return [...line.slice(0, line.search(/ (r\d|-$|retries)/)).matchAll(/\S(?= |$)/g)].map(
    ({ index }) => index,
  );
}

describe('the terminal view', () => {
  it('shows a line of at most 120 characters for usual numbers', () => {
    const [header = '', line = ''] = print([
      {
        accepted: 100_000,
        inProgress: 12_345,
        sent: 87_000,
        failed: 655,
        queues: { ...SNAPSHOT.queues, work: 11_000 },
      },
    ]);
    expect(line.slice(9)).toMatch(
      /^ok\s+100000\s+12345\s+87000\s+655\s+0\s+95\.2\s+78\.1\s+90\.0 \.36s 2\.4s 32ms 11000\s+0\s+0\s+5 r1 40 r2 12$/,
    );
    expect(Math.max(header.length, line.length)).toBeLessThanOrEqual(120);
  });

  it.each([
    [0.0004, '0ms'],
    [0.0994, '99ms'],
    [0.0996, '.10s'],
    [0.994, '.99s'],
    [0.996, '1.0s'],
    [9.94, '9.9s'],
    [9.96, '10s'],
    [35.8, '36s'],
    [1_234.5, '1235s'],
  ])('writes %s s as %s: each time has its unit', (seconds, text) => {
    const retryLatenessSeconds = { p50: 0, p99: seconds };
    const [, line = ''] = print([{ lastTenSeconds: { ...FLOW, retryLatenessSeconds } }]);
    expect(line.split(/ +/)).toContain(text);
  });

  it('stays aligned when numbers grow, under a header of their widths', () => {
    const [, , header = '', grown = '', small = ''] = print([
      {},
      { accepted: 12_345_678_901, sentPerSecond: 1_234_567, state: 'rebuilding' },
      { state: 'stale' },
    ]);
    expect(header).toMatch(/^time /);
    expect(endsOf(grown).slice(2)).toEqual(endsOf(small).slice(2));
    expect(header.indexOf('accepted') + 'accepted'.length).toBe(grown.indexOf('12345678901') + 11);
  });

  it('repeats the header every 20 lines', () => {
    const lines = print(Array.from({ length: 45 }, () => ({})));
    const headers = lines.flatMap((line, index) => (line.startsWith('time') ? [index] : []));
    expect(headers).toEqual([0, 21, 42]);
  });

  it('tells problems below the line, once, and again when they change', () => {
    const lines = print([{ problems: ['a'] }, { problems: ['a'] }, { problems: ['a', 'b'] }, {}, {}]);
    const told = lines.filter((line) => line.startsWith('  '));
    expect(told).toEqual(['  a', '  a', '  b', '  no problem any more']);
  });

  it('shows hyphens for what is not known', () => {
    const queues = { ...SNAPSHOT.queues, work: null, due: null, journal: null, parked: null, retry: [] };
    const [, line = ''] = print([{ accepted: null, senders: null, lastTenSeconds: null, queues }]);
    expect(line).toMatch(/ - -$/);
  });

  it('shows what is rare only where there is some', () => {
    const queues = { ...SNAPSHOT.queues, high: 3, low: 0 };
    const gateway = { state: 'paused', until: '2026-11-22T10:00:09.000Z' } as const;
    const [, line = ''] = print([{ queues, held: 12, unknown: 4, throttled: 2, gateway }]);
    const time = new Date('2026-11-22T10:00:09.000Z').toTimeString().slice(0, 8);
    expect(line).toMatch(
      new RegExp(` r1 40 r2 12 high 3 held 12 unknown 4 throttled 2 paused until ${time}$`),
    );
  });

  it('is coloured only when asked to', () => {
    const esc = String.fromCharCode(27);
    expect(print([{ problems: ['a'] }]).join()).not.toContain(esc);
    const coloured = print([{ problems: ['a'] }], true).join('\n');
    expect(coloured).toContain(`${esc}[32mok   ${esc}[39m`);
    expect(coloured).toContain(`${esc}[33m  a${esc}[39m`);
  });
});

describe('the summary of --once', () => {
  it('is a block that adds up before the eyes', () => {
    expect(renderSummary({ ...SNAPSHOT, lastMinute: IDLE, problems: ['no sender'], run: 'demo' })).toBe(
      [
        '2026-11-22T10:00:00.000Z, state ok, run "demo"',
        '  SMS         1,000 accepted = 930 sent + 12 failed + 0 parked + 58 in progress',
        '  attempts    1,180, of them 250 failed (21.2 %)',
        '  processing  mean 0.51 s, p50 0.35 s, p95 1.50 s, p99 2.30 s',
        '  retries     late by p50 4 ms, p99 31 ms, max 0.12 s',
        '  last 10 s   95.2 attempts/s, 78.1 sent/s, 90.0 % failed, p50 0.36 s, p99 2.40 s, late p99 32 ms',
        '  last 60 s   0.0 attempts/s, 0.0 sent/s',
        '  queues      work 0, due 0, journal 0, parked 0, retry 1 (5s) 40, retry 2 (30s) 12, retry 3 (2m) 0',
        '  senders     5',
        '  problem     no sender',
      ].join('\n'),
    );
  });

  it('says why SMS failed, where they wait and what the carrier does, where there is something to say', () => {
    const failedByReason = { timeout: 1_200, expired: 5, a: 4, b: 3, c: 2, d: 1 };
    const hold = [
      { delaySeconds: 4, messages: 0 },
      { delaySeconds: 64, messages: 7 },
    ];
    const summary = renderSummary({
      ...{
        ...SNAPSHOT,
        failedByReason,
        unknown: 9,
        throttled: 1,
        queues: { ...SNAPSHOT.queues, low: 8, hold },
      },
      gateway: { state: 'paused', until: '2026-11-22T10:00:09.000Z' },
    });
    expect(summary).toContain('  failed      timeout 1,200, expired 5, a 4, b 3, c 2, 1 more reason\n');
    expect(summary).toContain('of them 250 failed (21.2 %), 9 without a clear answer\n');
    expect(summary).toContain('parked 0, low 8, retry 1');
    expect(summary).toContain(', hold (64s) 7\n');
    expect(summary).toContain('  gateway     paused until 2026-11-22T10:00:09.000Z, throttled 1 time');
  });
});

describe('what others wrote', () => {
  const problem = 'RabbitMQ does not answer: \u001b[2J\u009b1A\nall is well';
  const shown = 'RabbitMQ does not answer: \\u001b[2J\\u009b1A\\u000aall is well';

  it.each([
    ['lines', () => print([{ problems: [problem] }]).join('\n')],
    ['the summary', () => renderSummary({ ...SNAPSHOT, problems: [problem] })],
  ])('is shown in %s with its control characters written out', (_, render) => {
    expect(render()).toContain(shown);
    expect(render()).not.toMatch(/[^\P{Cc}\n]/u);
  });
});
