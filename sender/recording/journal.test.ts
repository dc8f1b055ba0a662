import { describe, expect, it } from 'vitest';
import { PublishUnknownError } from '../../shared/errors.ts';
import type { Pause } from '../../shared/pipeline/publish-until-confirmed.ts';
import { letRun, ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordingPublisher } from '../../tests/kit/recording-publisher.ts';
import { Journal } from './journal.ts';

const UNKNOWN = new PublishUnknownError('the connection ended before the confirm');

function openJournal(pause: Pause = async () => {}) {
  const clock = new ManualClock();
  const publisher = new RecordingPublisher({ confirmsAtOnce: false });
  const journal = new Journal({
    publisher,
    clock,
    pause,
    routingKey: 'journal',
    senderId: 's1',
    gatherMs: 5,
    maxBytes: 20,
  });
  const bodies = () => publisher.published.map(({ body }) => body.toString());
  return { clock, publisher, journal, bodies };
}

/** What has become of a promise by now. */
async function stateOf(promise: Promise<void>): Promise<string> {
  await letRun();
  const state = promise.then(
    () => 'confirmed',
    (error: Error) => `rejected: ${error.message}`,
  );
  return Promise.race([state, letRun().then(() => 'open')]);
}

describe('Journal', () => {
  it('gathers entries for a few milliseconds into one message, whose confirm is that of all', async () => {
    const { clock, publisher, journal, bodies } = openJournal();
    const appended = [journal.append('one'), journal.append('two')];
    await clock.advance(4);
    expect(bodies()).toEqual([]);
    await clock.advance(1);
    expect(bodies()).toEqual(['one\ntwo\n']);
    expect(await Promise.all(appended.map(stateOf))).toEqual(['open', 'open']);
    publisher.confirmOpen();
    expect(await Promise.all(appended.map(stateOf))).toEqual(['confirmed', 'confirmed']);
  });

  it('counts the lines that are not confirmed, until they are or never will be', async () => {
    const { clock, publisher, journal } = openJournal();
    void journal.append('one');
    void journal.append('two');
    expect(journal.unconfirmedCount).toBe(2);
    await clock.advance(5);
    expect(journal.unconfirmedCount).toBe(2);
    publisher.confirmOpen();
    await letRun();
    expect(journal.unconfirmedCount).toBe(0);
  });

  it('names each message anew and says what it is', async () => {
    const { clock, publisher, journal } = openJournal();
    void journal.append('one');
    journal.flush();
    void journal.append('two');
    await clock.advance(5);
    expect(publisher.published.map(({ messageId }) => messageId)).toEqual(['s1-1', 's1-2']);
    expect(publisher.published[0]).toMatchObject({
      routingKey: 'journal',
      type: 'journal',
      contentType: 'application/x-ndjson',
    });
  });

  it('closes a message before it grows over maxBytes, counted in bytes', async () => {
    const { journal, bodies } = openJournal();
    // 9 characters and a line feed are 10 bytes; the last line has 7 characters and 11 bytes.
    for (const line of ['123456789', '123456789', '123456789', 'éééé567']) void journal.append(line);
    journal.flush();
    expect(bodies()).toEqual(['123456789\n123456789\n', '123456789\n', 'éééé567\n']);
  });

  it('publishes an entry that is larger than a message alone', async () => {
    const { clock, journal, bodies } = openJournal();
    const large = 'x'.repeat(50);
    for (const line of ['a', large, 'b']) void journal.append(line);
    await clock.advance(5);
    expect(bodies()).toEqual(['a\n', `${large}\n`, 'b\n']);
  });

  it('starts no message and leaves no timer where there is nothing to publish', async () => {
    const { clock, journal, bodies } = openJournal();
    journal.flush();
    void journal.append('one');
    journal.flush();
    journal.flush();
    expect(clock.timerCount).toBe(0);
    await clock.advance(100);
    expect(bodies()).toEqual(['one\n']);
  });

  it('publishes again, with the same id, what RabbitMQ may or may not hold', async () => {
    const tries: number[] = [];
    const { publisher, journal } = openJournal(async (failedTries) => void tries.push(failedTries));
    const appended = journal.append('one');
    journal.flush();
    for (let round = 0; round < 3; round += 1) {
      publisher.open.splice(0).forEach(({ fail }) => {
        fail(UNKNOWN);
      });
      await letRun();
    }
    publisher.confirmOpen();
    expect(await stateOf(appended)).toBe('confirmed');
    expect(publisher.published.map(({ messageId }) => messageId)).toEqual(['s1-1', 's1-1', 's1-1', 's1-1']);
    expect(new Set(publisher.published.map(({ body }) => body.toString())).size).toBe(1);
    expect(tries).toEqual([0, 1, 2]);
  });

  it('tells all who wait when the process must end, and nobody else', async () => {
    const { publisher, journal } = openJournal(async () => {
      throw new Error('the shutdown timeout is over');
    });
    // Nobody looks at the second one: it must not end the process as an unhandled rejection.
    const appended = journal.append('one');
    void journal.append('two');
    journal.flush();
    publisher.open[0]?.fail(UNKNOWN);
    expect(await stateOf(appended)).toBe('rejected: the shutdown timeout is over');
  });
});
