import { array, constantFrom, integer, stringMatching } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { forAll } from '../../../tests/kit/for-all.ts';
import { isRunName } from '../sms/sms.ts';
import type { OutcomeRecord } from './outcome.ts';
import {
  announcementKey,
  objectIdOfKey,
  openedAtOf,
  outcomeObjectId,
  outcomeObjectKey,
  parseAnnouncementKey,
  parseOutcomeObject,
  recorderOf,
} from './outcome-object.ts';

const openedAtMs = Date.UTC(2026, 10, 22, 10, 15, 30, 123);
const times = integer({ min: 0, max: Date.UTC(9999, 11, 31) });
const recorders = stringMatching(/^[a-z0-9]{1,10}$/);
const sequences = integer({ min: 0, max: 9_999_999 });
const prefixes = stringMatching(/^[a-z]{1,9}(\/[a-z.-]{1,9})?$/);
const record: OutcomeRecord = {
  smsId: 'demo-000001',
  run: 'demo',
  queue: 'sms',
  to: '+15550100001',
  text: 'Hello\nthere',
  status: 'sent',
  acceptedAt: '2026-11-22T10:00:00.000Z',
  finishedAt: '2026-11-22T10:00:01.000Z',
  attempts: [],
};

describe('an outcome object', () => {
  test('has a key that tells day, hour, moment, recorder and number', () => {
    const objectId = outcomeObjectId(openedAtMs, 'k3x9', 7);
    expect(objectId).toBe('20261122T101530123Z-k3x9-000007');
    expect(outcomeObjectKey('success', objectId)).toBe(`success/dt=2026-11-22/hour=10/${objectId}.ndjson`);
  });

  test('tells when it was opened', () => {
    forAll(times, (atMs) => openedAtOf(outcomeObjectId(atMs, 'k3x9', 7)) === atMs);
    expect(openedAtOf('20269922T101530123Z-k3x9-000007')).toBeUndefined();
    expect(openedAtOf('made-up')).toBeUndefined();
  });

  test('is known again by its key, under any prefix', () => {
    forAll(prefixes, times, recorders, sequences, (prefix, atMs, recorder, sequence) => {
      const objectId = outcomeObjectId(atMs, recorder, sequence);
      expect(objectIdOfKey(outcomeObjectKey(prefix, objectId))).toBe(objectId);
      expect(recorderOf(objectId)).toBe(recorder);
    });
  });

  test('sorts by the moment it was opened', () => {
    forAll(times, times, (one, other) => {
      const [left, right] = [outcomeObjectId(one, 'k3x9', 1), outcomeObjectId(other, 'k3x9', 1)];
      expect(left < right).toBe(one < other);
    });
  });

  test.each([
    'success/dt=2026-11-22/hour=10/notes.txt',
    'success/dt=2026-11-22/hour=10/notes.ndjson',
    'success/20261122T101530123Z-k3x9-000007',
    'success/20261122T101530123Z-k3x9-7.ndjson',
    '',
  ])('is not %s', (key) => expect(objectIdOfKey(key)).toBeUndefined());

  test('gives its records back in order, and counts the lines that are none', () => {
    const lines = [
      JSON.stringify(record),
      '{"smsId":"demo-0',
      'null',
      '',
      JSON.stringify({ ...record, smsId: 'b' }),
    ];
    expect(parseOutcomeObject(Buffer.from(lines.join('\n')))).toEqual({
      records: [record, { ...record, smsId: 'b' }],
      unreadableLineCount: 2,
    });
  });

  test('that was cut anywhere shows it, unless it was cut between two lines', () => {
    const line = JSON.stringify(record);
    const body = Buffer.from(`${line}\n`.repeat(3));
    forAll(integer({ min: 1, max: body.length }), (length) => {
      const { records, unreadableLineCount } = parseOutcomeObject(body.subarray(0, length));
      const isWhole = length % (line.length + 1) === 0 || length % (line.length + 1) === line.length;
      expect([records.length, unreadableLineCount]).toEqual([
        Math.floor((length + 1) / (line.length + 1)),
        isWhole ? 0 : 1,
      ]);
    });
  });
});

describe('an announcement', () => {
  test('has a key that tells run and number', () => {
    expect(announcementKey('demo', 1_000)).toBe('runs/demo/000000001000.json');
  });

  test('is known again by its key, and the largest number is the last key', () => {
    const counts = integer({ min: 0, max: 999_999_999_999 });
    forAll(
      stringMatching(/^[A-Za-z0-9._-]{1,64}$/).filter(isRunName),
      array(counts, { minLength: 1 }),
      (run, all) => {
        const keys = all.map((accepted) => announcementKey(run, accepted)).sort();
        expect(parseAnnouncementKey(keys.at(-1) ?? '')).toEqual({ run, accepted: Math.max(...all) });
      },
    );
  });

  test('is not another object', () => {
    forAll(
      constantFrom('runs/demo/1.json', 'runs/a b/000000000001.json', 'runs/x/y/000000000001.json'),
      (key) => {
        expect(parseAnnouncementKey(key)).toBeUndefined();
      },
    );
  });
});
