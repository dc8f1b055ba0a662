import { describe, expect, it } from 'vitest';
import { letRun, ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import type { OutgoingMessage } from '../domain/sms/message.ts';
import { PublishUnknownError, UnencodableError } from '../errors.ts';
import type { Publisher } from '../ports/publisher.ts';
import { publishUntilConfirmed, Republisher } from './publish-until-confirmed.ts';

const MESSAGE: OutgoingMessage = {
  routingKey: 'due',
  messageId: 'demo-000001',
  type: 'sms',
  contentType: 'application/json',
  timestampMs: 0,
  headers: {},
  body: Buffer.from('{}'),
};
const GONE = new PublishUnknownError('the connection ended before the confirm');

/** A publisher that gives these answers in turn, the last one for good. */
function answering(...answers: (Error | 'confirmed')[]) {
  const publisher: Publisher & { count: number } = {
    count: 0,
    async publish() {
      const answer = answers[Math.min(this.count, answers.length - 1)];
      this.count += 1;
      if (answer instanceof Error) throw answer;
    },
  };
  return publisher;
}

describe('a message', () => {
  it('is published until it is confirmed, with a longer pause each time', async () => {
    const publisher = answering(GONE, GONE, 'confirmed');
    const pauses: number[] = [];
    const pause = async (failedTries: number) => void pauses.push(failedTries);
    expect(await publishUntilConfirmed(publisher, MESSAGE, pause)).toBe(true);
    expect({ count: publisher.count, pauses }).toEqual({ count: 3, pauses: [0, 1] });
  });

  it('is not published where nobody wants it any more', async () => {
    const publisher = answering('confirmed');
    expect(
      await publishUntilConfirmed(
        publisher,
        MESSAGE,
        async () => {},
        () => false,
      ),
    ).toBe(false);
    expect(publisher.count).toBe(0);
  });

  it('that cannot be encoded is not published again', async () => {
    const publisher = answering(new UnencodableError({ cause: undefined }));
    await expect(publishUntilConfirmed(publisher, MESSAGE, async () => {})).rejects.toThrow(UnencodableError);
    expect(publisher.count).toBe(1);
  });
});

describe('many messages', () => {
  function republisherOf(publisher: Publisher) {
    const clock = new ManualClock();
    const log = new RecordedLog();
    const stop = new AbortController();
    const republisher = new Republisher({ publisher, clock, log, random: () => 0.5 }, stop.signal);
    return { clock, log, stop, republisher };
  }

  it('that fail together are told in one line', async () => {
    const { clock, log, republisher } = republisherOf(answering(GONE, GONE, GONE, 'confirmed'));
    const published = [1, 2, 3].map(() => republisher.publish(MESSAGE));
    await clock.advance(100);
    expect(await Promise.all(published)).toEqual([true, true, true]);
    expect(log.lines).toHaveLength(1);
  });

  it('are tried once after the stop, and not again', async () => {
    const publisher = answering(GONE);
    const { clock, log, stop, republisher } = republisherOf(publisher);
    const waiting = republisher.publish(MESSAGE);
    await letRun();
    stop.abort();
    expect([await waiting, await republisher.publish(MESSAGE)]).toEqual([false, false]);
    expect([publisher.count, clock.timerCount, log.lines.length]).toEqual([2, 0, 1]);
  });
});
