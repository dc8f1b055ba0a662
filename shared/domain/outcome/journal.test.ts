import { describe, expect, test } from 'vitest';
import { decodeJournal, encodeJournalEntry, JOURNAL_VERSION, type JournalEntry } from './journal.ts';
import { OUTCOME_STATUSES, type OutcomeRecord } from './outcome.ts';

const at = '2026-11-22T10:00:00.000Z';
const attempt = { attempt: 1, startedAt: at, tookMs: 5, result: 'sent' } as const;
const record: OutcomeRecord = {
  smsId: 'demo-000001',
  run: 'demo',
  queue: 'sms',
  to: '+15550100001',
  text: 'Two\nlines — and an emoji 😀\u2028',
  status: 'sent',
  acceptedAt: at,
  finishedAt: at,
  attempts: [attempt],
};
const ENTRIES: Record<JournalEntry['kind'], JournalEntry> = {
  attempt: { kind: 'attempt', smsId: 'demo-000001', run: 'demo', attempt },
  outcome: { kind: 'outcome', record, line: Buffer.from(JSON.stringify(record)) },
  accepted: {
    kind: 'accepted',
    announcement: { run: 'demo', queue: 'sms', accepted: 7, acceptedUpTo: 5, input: 'generated', at },
  },
  sender: {
    kind: 'sender',
    sender: 'a1b2',
    at,
    settings: {
      meanProcessingSeconds: 0.5,
      processingTimeDistribution: 'exponential',
      failureRate: 0.1,
      permanentFailureShare: 0,
      retrySchedule: '5s,30s',
      concurrency: 100,
      seed: 1,
    },
  },
};
const journalOf = (...lines: readonly string[]) => Buffer.from(lines.map((line) => `${line}\n`).join(''));

test('entries of every kind are read as they were written, one a line', () => {
  const entries = Object.values(ENTRIES);
  const lines = entries.map(encodeJournalEntry);
  expect(lines.filter((line) => line.includes('\n'))).toEqual([]);
  expect(decodeJournal(journalOf(...lines))).toEqual({ entries, newerLines: [], unreadableCount: 0 });
});

test('the line of an outcome is the very line that S3 will hold', () => {
  const line = `{ "note": "kept as it is", ${JSON.stringify(record).slice(1)}`;
  expect(decodeJournal(journalOf(line)).entries).toMatchObject([
    { kind: 'outcome', line: Buffer.from(line) },
  ]);
});

const good = encodeJournalEntry(ENTRIES.attempt);
const DEEP = `${'['.repeat(8_000)}${']'.repeat(8_000)}`;

describe('a line that cannot be read harms no other', () => {
  test.each([
    ['not JSON', '{'],
    ['no object', '7'],
    ['null', 'null'],
    ['an entry that is no word', '{"entry":"Rumour 1"}'],
    ['an outcome without its id', JSON.stringify({ ...record, smsId: undefined })],
    [
      'an outcome whose text is nested',
      `{"text":${DEEP},${JSON.stringify({ ...record, text: undefined }).slice(1)}`,
    ],
    ['an attempt of no SMS', JSON.stringify({ entry: 'attempt', run: 'demo', attempt })],
    ['an attempt that is none', '{"entry":"attempt","smsId":"a","run":"demo","attempt":{}}'],
    ['an announcement without a number', `{"entry":"accepted","run":"demo","queue":"sms","at":"${at}"}`],
    [
      'an announcement of more than objects can be named after',
      `{"entry":"accepted","run":"demo","queue":"sms","accepted":1000000000000,"acceptedUpTo":0,"input":"generated","at":"${at}"}`,
    ],
    ['a sender without settings', `{"entry":"sender","sender":"a1b2","at":"${at}","settings":null}`],
    [
      'a sender with a long name',
      `{"entry":"sender","sender":"${'a'.repeat(65)}","at":"${at}","settings":{}}`,
    ],
  ])('%s: %s', (_, line) => {
    expect(decodeJournal(journalOf(good, line, good))).toEqual({
      entries: [ENTRIES.attempt, ENTRIES.attempt],
      newerLines: [],
      unreadableCount: 1,
    });
  });
});

describe('a line that only a newer version can record is told apart', () => {
  const unknown = { ...attempt, result: 'deferred' };
  test.each([
    ['an unknown kind of entry', '{"entry":"receipt","smsId":"demo-000001"}'],
    [
      'an attempt with an unknown result',
      JSON.stringify({ entry: 'attempt', smsId: 'a', run: 'b', attempt: unknown }),
    ],
    ['an outcome with an unknown result', JSON.stringify({ ...record, attempts: [unknown] })],
    ['an outcome with an unknown status', JSON.stringify({ ...record, status: 'held' })],
  ])('%s: %s', (_, line) => {
    expect(decodeJournal(journalOf(good, line))).toEqual({
      entries: [ENTRIES.attempt],
      newerLines: [line],
      unreadableCount: 0,
    });
  });
});

test('of announcements and settings flat fields of a newer version are kept, and nesting is not', () => {
  const { accepted, sender } = ENTRIES;
  const lines = [accepted, sender].map(encodeJournalEntry);
  const newer = lines.map((line) =>
    line.replace(/\{(?="(?:mean|entry":"acc))/, `{"deep":${DEEP},"gateway":"north",`),
  );
  expect(newer.every((line) => line.includes('gateway'))).toBe(true);
  expect(decodeJournal(journalOf(...newer)).entries).toEqual([
    {
      ...accepted,
      announcement: { gateway: 'north', ...(accepted as { announcement: object }).announcement },
    },
    { ...sender, settings: { gateway: 'north', ...(sender as { settings: object }).settings } },
  ]);
});

test.each([
  ['nested', DEEP],
  ['no text, and cannot be made one', '{"toString":1}'],
])('of settings whose schedule is %s the rest is kept', (_, schedule) => {
  const line = `{"entry":"sender","sender":"a1b2","at":"${at}","settings":{"seed":7,"retrySchedule":${schedule}}}`;
  expect(decodeJournal(journalOf(good, line, good)).entries).toEqual([
    ENTRIES.attempt,
    { kind: 'sender', sender: 'a1b2', at, settings: { seed: 7 } },
    ENTRIES.attempt,
  ]);
});

test('an empty journal message says nothing', () =>
  expect(decodeJournal(Buffer.alloc(0))).toEqual({ entries: [], newerLines: [], unreadableCount: 0 }));

test('a new kind of line or status goes with a new version of the journal', () => {
  expect([JOURNAL_VERSION, Object.keys(ENTRIES), OUTCOME_STATUSES]).toEqual([
    3,
    ['attempt', 'outcome', 'accepted', 'sender'],
    ['sent', 'failed', 'parked', 'known'],
  ]);
});
