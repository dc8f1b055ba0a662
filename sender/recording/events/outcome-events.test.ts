import { describe, expect, test } from 'vitest';
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import { outcomeEventOf } from '../../../shared/domain/outcome/outcome-event.ts';
import type { OutgoingMessage } from '../../../shared/domain/sms/message.ts';
import { MessageTooLargeError, PublishUnknownError, UnroutableError } from '../../../shared/errors.ts';
import type { PublishingTrouble } from '../../../shared/ports/publisher.ts';
import { ManualClock } from '../../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../../tests/kit/recorded-log.ts';
import { OutcomeEvents } from './outcome-events.ts';

function recordOf(smsId: string, more: Partial<OutcomeRecord> = {}): OutcomeRecord {
  return {
    ...{ smsId, run: 'demo', queue: 'sms', status: 'sent' },
    ...{ acceptedAt: '2026-11-22T10:00:00.000Z', finishedAt: '2026-11-22T10:00:09.900Z' },
    attempts: [{ attempt: 1, startedAt: '2026-11-22T10:00:09.000123Z', tookMs: 900, result: 'sent' }],
    ...more,
  };
}

const lineOf = (record: OutcomeRecord) => Buffer.from(JSON.stringify(record));

describe('an event', () => {
  test('has the line of S3 as its body, and tells when its only attempt was to start: when its SMS was accepted', () => {
    const record = recordOf('a');
    expect(outcomeEventOf(record, lineOf(record))).toEqual({
      ...{ routingKey: 'sent', messageId: 'a', type: 'outcome', contentType: 'application/json' },
      timestampMs: Date.parse('2026-11-22T10:00:09.900Z'),
      headers: {
        ...{ run: 'demo', status: 'sent' },
        plannedAt: Date.parse('2026-11-22T10:00:00.000Z'),
        startedAt: Date.parse('2026-11-22T10:00:09.000Z'),
      },
      body: lineOf(record),
    });
  });

  test.each<[string, Partial<OutcomeRecord>, object]>([
    [
      'whose last attempt was late',
      {
        attempts: [
          { attempt: 1, startedAt: '2026-11-22T10:00:09.006Z', lateMs: 6, tookMs: 1, result: 'sent' },
        ],
      },
      {
        plannedAt: Date.parse('2026-11-22T10:00:09.000Z'),
        startedAt: Date.parse('2026-11-22T10:00:09.006Z'),
      },
    ],
    ['without an attempt', { status: 'failed', reason: 'expired', attempts: [] }, { reason: 'expired' }],
    [
      'accepted at a time that nobody can read',
      { acceptedAt: 'soon' },
      { startedAt: Date.parse('2026-11-22T10:00:09.000Z') },
    ],
  ])('of an SMS %s', (_, more, headers) => {
    const record = recordOf('a', more);
    const { run, status } = record;
    expect(outcomeEventOf(record, lineOf(record)).headers).toEqual({ run, status, ...headers });
  });
});

/** RabbitMQ as a recorder sees it. @param answer why it does not confirm a message; undefined: it does */
function eventsOn(
  answer: (message: OutgoingMessage) => Error | undefined,
  trouble: () => PublishingTrouble | undefined = () => undefined,
) {
  const published: string[] = [];
  const waiting: string[] = [];
  const log = new RecordedLog();
  const publisher = {
    publish: () => Promise.reject(new Error('events are published in bulk')),
    publishThen(message: OutgoingMessage, onSettled: (error: Error | undefined) => void) {
      published.push(message.messageId);
      queueMicrotask(() => onSettled(answer(message)));
    },
    get trouble() {
      return trouble();
    },
  };
  const later = { append: async (line: string) => void waiting.push(JSON.parse(line).smsId) };
  const clock = new ManualClock(0);
  return { events: new OutcomeEvents(publisher, { later, log, clock }), published, waiting, log, clock };
}

const LINES = ['a', 'b', 'c'].map((smsId) => lineOf(recordOf(smsId)));
const isWanted = () => true;

describe('an event that RabbitMQ does not confirm', () => {
  test('gets its next try with its line, which waits in the journal; those beside it are done', async () => {
    const full = new PublishUnknownError('RabbitMQ did not take the message');
    const { events, published, waiting, log } = eventsOn(({ messageId }) =>
      messageId === 'b' ? full : undefined,
    );
    await events.publish(LINES, isWanted);
    await events.publish(LINES, isWanted);
    expect(published).toEqual([...'abcabc']);
    expect(waiting).toEqual(['b', 'b']);
    // One line of the log for the whole series, and no phone number in it.
    expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  test('is not tried at all while there is no connection for it', async () => {
    let trouble: PublishingTrouble | undefined = 'away';
    const { events, published, waiting } = eventsOn(
      () => undefined,
      () => trouble,
    );
    await events.publish(LINES, isWanted);
    expect([published, waiting]).toEqual([[], ['a', 'b', 'c']]);
    trouble = undefined;
    await events.publish(LINES, isWanted);
    expect(published).toEqual(['a', 'b', 'c']);
  });

  test('is left to the recorder that gets its journal message, once RabbitMQ has taken that back', async () => {
    const { events, waiting } = eventsOn(() => new PublishUnknownError('the connection ended'));
    let isLive = true;
    const done = events.publish(LINES, () => isLive);
    isLive = false;
    await done;
    expect(waiting).toEqual([]);
  });

  test('and never will, is told by an error: its journal message is parked', async () => {
    const { events, waiting } = eventsOn(() => new MessageTooLargeError(2, 1));
    await expect(events.publish(LINES, isWanted)).rejects.toThrow(MessageTooLargeError);
    expect(waiting).toEqual([]);
  });
});

test('events of a status that nobody has bound a queue for are tried once a second, the others always', async () => {
  let isBound = false;
  const { events, published, waiting, clock } = eventsOn(({ routingKey }) =>
    isBound || routingKey !== 'sent' ? undefined : new UnroutableError(routingKey),
  );
  // What a text holds is no status.
  const failed = lineOf(recordOf('f', { status: 'failed', text: '"status":"sent"' }));
  await events.publish([...LINES, failed], isWanted);
  expect(published.splice(0)).toEqual([...'abcf']);
  await events.publish([...LINES, failed], isWanted);
  expect(published.splice(0)).toEqual(['f']);
  isBound = true;
  await clock.advance(1_000);
  await events.publish([...LINES, failed], isWanted);
  await events.publish(LINES, isWanted);
  expect([published, waiting]).toEqual([[...'abcfabc'], []]);
});

test('an SMS that is known has no event: its outcome was told in another run', async () => {
  const { events, published } = eventsOn(() => undefined);
  await events.publish([lineOf(recordOf('a', { status: 'known' }))], isWanted);
  expect(published).toEqual([]);
});
