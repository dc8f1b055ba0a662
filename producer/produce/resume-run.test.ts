import { describe, expect, it } from 'vitest';
import { UsageError } from '../../shared/errors.ts';
import type { KnownRun } from '../../shared/ports/known-run-reader.ts';
import { NOTHING_COUNTED } from '../../tests/kit/nothing-counted.ts';
import { describeRest, NEW_RUN, type RunToStart, startAfterAnnounced, startUnknown } from './resume-run.ts';

const DEMO: KnownRun = {
  announced: 1_500,
  acceptedUpTo: 1_450,
  input: 'file:0123456789abcdef',
  announcedAtSeconds: undefined,
  hasInputConflict: false,
  met: 1_200,
};

function startOf(changes: Partial<RunToStart> = {}) {
  const usual = {
    run: 'may',
    known: DEMO,
    input: DEMO.input,
    isJournalUnread: false,
    unannouncedLimit: 2_000,
  };
  return startAfterAnnounced({ ...usual, ...changes });
}

describe('a run that was announced', () => {
  it('goes on after the last number without a gap, which is told', () => {
    expect(startOf()).toEqual({
      resumeAfter: 1_450,
      repeatLimit: 2_000,
      notes: ['run may goes on after SMS 1,450: those up to it were accepted before'],
    });
  });

  it.each([
    ['another file', 'file:fedcba9876543210', 'fingerprint file:fedcba9876543210'],
    ['generated SMS', 'generated', 'this is generated SMS'],
  ])('is refused with %s, naming the run, what it was made from and what to do', (_, input, words) => {
    const start = () => startOf({ input });
    expect(start).toThrow(UsageError);
    expect(start).toThrow(words);
    expect(start).toThrow(/--run may belongs to another input: 1,500 SMS .* file:0123456789abcdef/);
    expect(start).toThrow('Nothing was sent. Take another run name for this input');
  });

  it('is refused with when its own input was announced, where that is known', () => {
    const announcedAtSeconds = Date.UTC(2026, 10, 22, 10, 7, 59) / 1_000;
    const start = (known: Partial<KnownRun>) => () =>
      startOf({ input: 'generated', known: { ...DEMO, ...known } });
    expect(start({ announcedAtSeconds })).toThrow(
      '1,500 SMS were announced for it (2026-11-22 10:07 UTC), made from an input with the fingerprint file:',
    );
    for (const unknown of [undefined, 1e20, Number.NaN])
      expect(start({ announcedAtSeconds: unknown })).toThrow('were announced for it, made from an input');
  });

  it('with two inputs is refused with both', () => {
    expect(() => startOf({ known: { ...DEMO, hasInputConflict: true } })).toThrow(
      /--run may was announced with two different inputs.* Take another run name/,
    );
  });

  it('may repeat any SMS where nobody has read its newest announcements, or where the input cannot be told', () => {
    const unread = startOf({ isJournalUnread: true });
    expect(unread).toMatchObject({ resumeAfter: 1_450, repeatLimit: Infinity });
    expect(unread.notes[1]).toMatch(/run may before.* may be sent again: no sender reads the journal/);
    expect(startOf({ input: undefined })).toMatchObject({ resumeAfter: 0, repeatLimit: Infinity });
  });
});

describe('a run of which nothing was announced', () => {
  it('begins with its first SMS', () => {
    expect(startOf({ known: NOTHING_COUNTED })).toEqual(NEW_RUN);
  });

  it('may repeat as many as a producer is ahead of its announcements, where senders have met some of it', () => {
    expect(startOf({ known: { ...NOTHING_COUNTED, met: 3 } })).toEqual({
      resumeAfter: 0,
      repeatLimit: 2_000,
      notes: ['run may was begun before, and begins again with its first SMS'],
    });
  });

  it('is said to be perhaps sent again where nobody can tell', () => {
    const notes = [expect.stringContaining('may be sent again: ')];
    const start = { resumeAfter: 0, repeatLimit: Infinity, notes };
    expect(startOf({ known: NOTHING_COUNTED, isJournalUnread: true })).toEqual(start);
    expect(startUnknown('may', 'Redis did not answer')).toEqual(start);
  });
});

it('an interrupted run says what the same command does', () => {
  const summary = { run: 'may', requested: 1_000, accepted: 731, seconds: 1, smsPerSecond: 731 };
  expect(describeRest(summary, 0)).toBe(
    'RabbitMQ has confirmed 731 of 1,000 SMS. With the same input and --run may the rest follows; ' +
      'once a sender has recorded those confirmed, none of them is sent again.',
  );
  expect(describeRest(summary, 12)).toContain('the rest follows; at most 12 SMS are sent again.');
});
