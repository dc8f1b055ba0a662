import { describe, expect, it } from 'vitest';
import { decodeJournal } from '../../shared/domain/outcome/journal.ts';
import type { RunAnnouncement } from '../../shared/domain/outcome/outcome.ts';
import { decodeEnvelope } from '../../shared/domain/sms/envelope.ts';
import type { OutgoingMessage } from '../../shared/domain/sms/message.ts';
import { smsIdOf } from '../../shared/domain/sms/sms.ts';
import { shardOf } from '../../shared/domain/topology/shards.ts';
import { workRoutingKey } from '../../shared/domain/topology/topology.ts';
import { PublishUnknownError, UnencodableError, UnroutableError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import type { BulkPublisher } from '../../shared/ports/publisher.ts';
import { generateRun, generateSms } from './generate-sms.ts';
import { type NumberedSms, type RunOptions, RunProducer } from './produce-run.ts';

interface Timer {
  readonly dueMs: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is advanced. */
class FakeClock implements Clock {
  #nowMs: number;
  #timers: Timer[] = [];

  constructor(startMs = Date.UTC(2026, 10, 22, 10, 0, 0)) {
    this.#nowMs = startMs;
  }

  get timerCount(): number {
    return this.#timers.length;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Lets that much time pass, timer by timer, each with what follows from it. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    await settle();
    for (let timer = this.#nextUntil(endMs); timer !== undefined; timer = this.#nextUntil(endMs)) {
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs);
      this.#timers = this.#timers.filter((other) => other !== timer);
      timer.callback();
      await settle();
    }
    this.#nowMs = endMs;
  }

  #nextUntil(endMs: number): Timer | undefined {
    const due = this.#timers.filter(({ dueMs }) => dueMs <= endMs);
    return due.sort((one, other) => one.dueMs - other.dueMs)[0];
  }
}

/** Lets everything that waits for nothing but promises happen. */
async function settle(): Promise<void> {
  for (let round = 0; round < 4; round += 1) await new Promise((resolve) => setImmediate(resolve));
}

interface Publish {
  readonly message: OutgoingMessage;
  readonly confirm: () => void;
  readonly fail: (error: Error) => void;
}

/** A publisher whose confirms the test gives. */
class FakePublisher implements BulkPublisher {
  readonly published: OutgoingMessage[] = [];
  /** What to do with each message at once; undefined leaves it unconfirmed. */
  answer: ((message: OutgoingMessage) => 'confirm' | Error | undefined) | undefined;
  /** Of SMS. */
  maxUnconfirmedCount = 0;
  readonly #unconfirmed = new Set<Publish>();

  get unconfirmed(): readonly Publish[] {
    return [...this.#unconfirmed];
  }

  publish(message: OutgoingMessage): Promise<void> {
    this.published.push(message);
    return new Promise((resolve, reject) => {
      const publish: Publish = {
        message,
        confirm: () => this.#end(publish, resolve),
        fail: (error) => this.#end(publish, () => reject(error)),
      };
      this.#unconfirmed.add(publish);
      const unconfirmedCount = this.unconfirmed.filter((each) => each.message.type === 'sms').length;
      this.maxUnconfirmedCount = Math.max(this.maxUnconfirmedCount, unconfirmedCount);
      const answer = this.answer?.(message);
      if (answer === 'confirm') setImmediate(publish.confirm);
      else if (answer !== undefined) setImmediate(() => publish.fail(answer));
    });
  }

  publishThen(message: OutgoingMessage, onSettled: (error: Error | undefined) => void): void {
    this.publish(message).then(() => onSettled(undefined), onSettled);
  }

  confirmAll(): void {
    for (const publish of [...this.#unconfirmed]) publish.confirm();
  }

  failAll(error: Error): void {
    for (const publish of [...this.#unconfirmed]) publish.fail(error);
  }

  #end(publish: Publish, settle: () => void): void {
    this.#unconfirmed.delete(publish);
    settle();
  }
}

const silentLog: Logger = { debug() {}, info() {}, warn() {}, error() {} };

function setUp(options: Partial<RunOptions> = {}) {
  const clock = new FakeClock();
  const publisher = new FakePublisher();
  const shutdown = new AbortController();
  const producer = new RunProducer(
    {
      run: 'demo',
      queueName: 'sms',
      resumeAfter: 0,
      input: { identity: 'generated', acceptedBefore: 0 },
      sending: undefined,
      shardCount: 1,
      maxUnconfirmed: 10,
      announceEvery: 1_000_000,
      announceAgainMs: 600_000,
      smsPerSecond: undefined,
      announcerId: 'x7k2p9',
      ...options,
    },
    { publisher, clock, log: silentLog, random: () => 0.5, shutdown: shutdown.signal },
  );
  const publishedSms = () => publisher.published.filter(({ type }) => type === 'sms');
  const allAnnouncements = () =>
    publisher.published.filter(({ type }) => type === 'journal').map(readAnnouncement);
  const announcements = () => allAnnouncements().filter(({ isInterim }) => isInterim !== true);
  const interim = () => allAnnouncements().filter(({ isInterim }) => isInterim === true);
  return { clock, publisher, shutdown, producer, publishedSms, announcements, interim };
}

function readAnnouncement(message: OutgoingMessage): RunAnnouncement {
  const [entry] = decodeJournal(message.body).entries;
  if (entry?.kind !== 'accepted') throw new Error('not an announcement');
  return entry.announcement;
}

async function* numbered(...smsNumbers: number[]): AsyncGenerator<NumberedSms[]> {
  yield smsNumbers.map((smsNumber) => ({ smsNumber, sms: generateSms('demo', smsNumber) }));
}

/** Publishes SMS until the test says that no more come. */
function openInput() {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  async function* batches(...smsNumbers: number[]): AsyncGenerator<NumberedSms[]> {
    yield* numbered(...smsNumbers);
    await ended;
  }
  return { batches, end };
}

describe('publishing', () => {
  it('gives every SMS to RabbitMQ once, readable by a sender, accepted at the moment it was given', async () => {
    const { producer, publisher, publishedSms, clock } = setUp();
    publisher.answer = () => 'confirm';
    await producer.produce(generateRun('demo', 600));
    const decoded = publishedSms().map((message) => decodeEnvelope(message));
    expect(decoded).toHaveLength(600);
    for (const [index, envelope] of decoded.entries()) {
      expect(envelope).toMatchObject({
        kind: 'readable',
        envelope: {
          sms: generateSms('demo', index + 1),
          attempt: 1,
          acceptedAtMs: clock.nowMs(),
          history: [],
        },
      });
    }
    expect(producer.acceptedCount).toBe(600);
  });

  it('tells of each SMS when it was given, of several in one millisecond and of later ones', async () => {
    const { producer, publisher, publishedSms, clock } = setUp();
    publisher.answer = () => 'confirm';
    const startedAtMs = clock.nowMs();
    await producer.produce(
      (async function* () {
        for (const [elapsedMs, first] of [
          [0, 1],
          [1, 4],
          [7, 7],
        ] as const) {
          await clock.advance(startedAtMs + elapsedMs - clock.nowMs());
          yield [first, first + 1, first + 2].map((smsNumber) => ({
            smsNumber,
            sms: generateSms('demo', smsNumber),
          }));
        }
      })(),
    );
    const acceptedAfterMs = publishedSms().map(({ headers }) => Number(headers.acceptedAt) - startedAtMs);
    expect(acceptedAfterMs).toEqual([0, 0, 0, 1, 1, 1, 7, 7, 7]);
  });

  it('says in each message when and how urgently its SMS is to be sent, its own word before that of the run', async () => {
    const start = new FakeClock().nowMs();
    const { producer, publisher, publishedSms, clock } = setUp({
      sending: { sendAtMs: start + 5_000, priority: 'low', validForMs: 60_000 },
      shardCount: 4,
    });
    publisher.answer = () => 'confirm';
    const sms = generateSms('demo', 1);
    async function* batches(): AsyncGenerator<NumberedSms[]> {
      yield [{ smsNumber: 1, sms }];
      await clock.advance(10_000);
      yield [
        { smsNumber: 2, sms },
        { smsNumber: 3, sms, sending: { priority: 'high', sendAtMs: start + 11_000, validForMs: 2_000 } },
        { smsNumber: 4, sms, sending: { priority: 'normal' } },
      ];
    }
    await producer.produce(batches());
    const work = workRoutingKey(shardOf(sms.id, 4));
    expect(work).not.toBe('work');
    expect(
      publishedSms().map(({ routingKey, headers: { notBefore, expiresAt, priority } }) => [
        ...[routingKey, priority, Number(notBefore) - start, Number(expiresAt) - start],
      ]),
    ).toEqual([
      ['low', 'low', 5_000, 65_000],
      // Its moment has come: its time runs from its acceptance.
      ['low', 'low', NaN, 70_000],
      ['high', 'high', 11_000, 13_000],
      [work, 'normal', NaN, NaN],
    ]);
  });

  it('says nothing of it where nothing is asked for', async () => {
    const { producer, publisher, publishedSms } = setUp();
    publisher.answer = () => 'confirm';
    await producer.produce(numbered(1));
    expect(publishedSms().map(({ headers }) => Object.keys(headers))).toEqual([
      ['attempt', 'run', 'acceptedAt'],
    ]);
  });

  it('never has more SMS unconfirmed than the window holds', async () => {
    const { producer, publisher } = setUp({ maxUnconfirmed: 7 });
    publisher.answer = () => 'confirm';
    await producer.produce(generateRun('demo', 500));
    expect(publisher.maxUnconfirmedCount).toBe(7);
  });

  it('publishes the next SMS as soon as one is confirmed', async () => {
    const { producer, publisher, publishedSms } = setUp({ maxUnconfirmed: 3 });
    const done = producer.produce(numbered(1, 2, 3, 4, 5));
    await settle();
    expect(publishedSms()).toHaveLength(3);
    publisher.unconfirmed[1]?.confirm();
    await settle();
    expect(publishedSms()).toHaveLength(4);
    publisher.answer = () => 'confirm';
    publisher.confirmAll();
    await done;
    expect(producer.acceptedCount).toBe(5);
  });

  it.each([new PublishUnknownError('the connection ended'), new UnroutableError('work')])(
    'publishes the same SMS again after a pause until it is confirmed: $code',
    async (error) => {
      const { producer, publisher, publishedSms, clock } = setUp();
      const done = producer.produce(numbered(1));
      for (const pauseMs of [50, 100, 200, 400, 800, 1_600, 2_500, 2_500]) {
        await settle();
        publisher.failAll(error);
        const count = publishedSms().length;
        await clock.advance(pauseMs - 1);
        expect(publishedSms()).toHaveLength(count);
        await clock.advance(1);
        expect(publishedSms()).toHaveLength(count + 1);
      }
      publisher.answer = () => 'confirm';
      publisher.confirmAll();
      await done;
      expect(new Set(publishedSms().map(({ messageId }) => messageId))).toEqual(new Set(['demo-000001']));
      expect(producer.acceptedCount).toBe(1);
    },
  );

  it('keeps the window while SMS wait to be published again', async () => {
    const { producer, publisher, publishedSms, clock } = setUp({ maxUnconfirmed: 4 });
    const done = producer.produce(generateRun('demo', 20));
    await settle();
    publisher.failAll(new PublishUnknownError('gone'));
    await settle();
    expect(publishedSms()).toHaveLength(4);
    publisher.answer = () => 'confirm';
    await clock.advance(100);
    await done;
    expect([producer.acceptedCount, producer.republishedCount]).toEqual([20, 4]);
    expect(publishedSms()).toHaveLength(24);
  });

  it('counts an SMS that no message can carry, and sends the others', async () => {
    const { producer, publisher, publishedSms, announcements } = setUp();
    publisher.answer = ({ messageId }) =>
      messageId === smsIdOf('demo', 2) ? new UnencodableError({ cause: new Error('too large') }) : 'confirm';
    await producer.produce(numbered(1, 2, 3));
    expect(publishedSms()).toHaveLength(3);
    expect([producer.acceptedCount, producer.unencodableCount]).toEqual([2, 1]);
    expect(announcements().at(-1)).toMatchObject({ accepted: 2, acceptedUpTo: 1 });
  });
});

describe('announcements', () => {
  it('tell the journal at the end how many SMS are accepted, and are confirmed before the run is done', async () => {
    const { producer, publisher, clock } = setUp();
    publisher.answer = ({ type }) => (type === 'sms' ? 'confirm' : undefined);
    let isDone = false;
    const done = producer.produce(numbered(1, 2, 3)).then(() => {
      isDone = true;
    });
    await settle();
    await settle();
    const announcement = publisher.published.at(-1);
    expect(announcement).toMatchObject({
      routingKey: 'journal',
      type: 'journal',
      messageId: 'demo-announcement-x7k2p9-2',
      contentType: 'application/x-ndjson',
    });
    expect(announcement?.body.toString().endsWith('}\n')).toBe(true);
    expect(announcement && readAnnouncement(announcement)).toEqual({
      run: 'demo',
      queue: 'sms',
      accepted: 3,
      acceptedUpTo: 3,
      input: 'generated',
      at: new Date(clock.nowMs()).toISOString(),
    });
    expect(isDone).toBe(false);
    publisher.confirmAll();
    await done;
  });

  it('are published again until confirmed', async () => {
    const { producer, publisher, clock, announcements } = setUp();
    let failures = 3;
    publisher.answer = (message) => {
      if (message.type === 'sms' || readAnnouncement(message).isInterim) return 'confirm';
      failures -= 1;
      return failures < 0 ? 'confirm' : new PublishUnknownError('gone');
    };
    const done = producer.produce(numbered(1));
    await clock.advance(60_000);
    await done;
    expect(announcements()).toHaveLength(4);
  });

  it('come once a second while SMS are accepted, and only then', async () => {
    const { producer, publisher, clock, announcements } = setUp({ smsPerSecond: 10 });
    const input = openInput();
    publisher.answer = () => 'confirm';
    const done = producer.produce(input.batches(...Array.from({ length: 25 }, (_, index) => index + 1)));
    await clock.advance(10_500);
    expect(announcements().map(({ accepted }) => accepted)).toEqual([10, 20, 25]);
    input.end();
    await done;
    expect(announcements().map(({ accepted }) => accepted)).toEqual([10, 20, 25, 25]);
    const ids = publisher.published
      .filter(({ type }) => type === 'journal')
      .map(({ messageId }) => messageId);
    expect(new Set(ids).size).toBe(5);
  });

  it('come again while the input rests, so that Redis does not forget a run that goes on', async () => {
    const { producer, publisher, clock, announcements, interim } = setUp();
    const input = openInput();
    publisher.answer = () => 'confirm';
    const done = producer.produce(input.batches(1, 2));
    await clock.advance(2_000);
    const before = interim().length;
    await clock.advance(1_800_000);
    expect(interim().length - before).toBe(3);
    expect(interim().at(-1)).toMatchObject({ accepted: 2 });
    expect(announcements()).toHaveLength(1);
    input.end();
    await done;
  });

  it('are not made where nothing was accepted', async () => {
    const { producer, announcements } = setUp();
    await producer.produce(numbered());
    expect(announcements()).toEqual([]);
  });

  it('wait until the input is known by its fingerprint', async () => {
    const source: { identity: string | undefined; acceptedBefore: number } = {
      ...{ identity: undefined, acceptedBefore: 0 },
    };
    const { producer, publisher, clock, announcements } = setUp({ input: source });
    const input = openInput();
    publisher.answer = () => 'confirm';
    const done = producer.produce(input.batches(1, 2));
    await clock.advance(3_000);
    expect(announcements()).toEqual([]);
    source.identity = 'file:0123456789abcdef';
    input.end();
    await done;
    expect(announcements()).toMatchObject([{ input: 'file:0123456789abcdef', accepted: 2 }]);
  });

  it.each([
    { confirmed: [1, 2, 3, 4], accepted: 4, acceptedUpTo: 4 },
    { confirmed: [2, 3, 4], accepted: 3, acceptedUpTo: 0 },
    { confirmed: [1, 2, 4], accepted: 3, acceptedUpTo: 2 },
    { confirmed: [4, 1], accepted: 2, acceptedUpTo: 1 },
  ])('name the number without a gap: of 1 to 4 $confirmed confirmed', async ({ confirmed, ...expected }) => {
    const { producer, publisher, clock, announcements, shutdown } = setUp();
    const done = producer.produce(numbered(1, 2, 3, 4));
    await settle();
    const unconfirmed = [...publisher.unconfirmed];
    for (const smsNumber of confirmed) unconfirmed[smsNumber - 1]?.confirm();
    publisher.answer = () => 'confirm';
    await clock.advance(1_000);
    expect(announcements()[0]).toMatchObject(expected);
    shutdown.abort('SIGINT');
    await clock.advance(10_000);
    await done;
  });

  it('see no gap in bad lines, which are no SMS', async () => {
    const { producer, publisher, announcements } = setUp();
    publisher.answer = () => 'confirm';
    await producer.produce(numbered(1, 2, 5, 6));
    expect(announcements().at(-1)).toMatchObject({ accepted: 4, acceptedUpTo: 6 });
  });

  it('come in between as soon as the first SMS is accepted, and then after so many', async () => {
    const { producer, publisher, announcements, interim } = setUp({ maxUnconfirmed: 10, announceEvery: 25 });
    publisher.answer = () => 'confirm';
    await producer.produce(generateRun('demo', 1_000));
    const numbers = interim().map(({ accepted }) => accepted);
    expect(numbers[0]).toBeLessThanOrEqual(10);
    const gaps = numbers.slice(1).map((number, index) => number - (numbers[index] as number));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(25);
    // At most a window more, which was confirmed in the same turn.
    expect(Math.max(...gaps)).toBeLessThan(25 + 10);
    expect(interim().every(({ accepted, acceptedUpTo }) => accepted === acceptedUpTo)).toBe(true);
    expect(announcements()).toMatchObject([{ accepted: 1_000, acceptedUpTo: 1_000 }]);
  });

  it('in between are few while the journal confirms none, and come again when it does', async () => {
    const { producer, publisher, interim } = setUp({ maxUnconfirmed: 10, announceEvery: 5 });
    publisher.answer = ({ type }) => (type === 'sms' ? 'confirm' : undefined);
    const input = openInput();
    const done = producer.produce(input.batches(...Array.from({ length: 500 }, (_, index) => index + 1)));
    for (let round = 0; round < 100; round += 1) await settle();
    expect(producer.acceptedCount).toBe(500);
    expect(interim()).toHaveLength(10);
    publisher.answer = () => 'confirm';
    publisher.confirmAll();
    await settle();
    input.end();
    await done;
  });

  it('of a resumed run tell what was accepted before and now, as one', async () => {
    const { producer, publisher, publishedSms, announcements } = setUp({
      resumeAfter: 3,
      input: { identity: 'generated', acceptedBefore: 2 },
    });
    publisher.answer = () => 'confirm';
    await producer.produce(numbered(4, 6));
    expect(publishedSms()).toHaveLength(2);
    expect(announcements().at(-1)).toMatchObject({ accepted: 4, acceptedUpTo: 6 });
    expect([producer.acceptedCount, producer.acceptedNowCount, producer.openCount]).toEqual([4, 2, 0]);
  });

  it('are not made of what was accepted before alone', async () => {
    const { producer, publisher } = setUp({
      resumeAfter: 3,
      input: { identity: 'generated', acceptedBefore: 3 },
    });
    await producer.produce(numbered());
    expect(publisher.published).toEqual([]);
  });
});

describe('an interrupted run', () => {
  it('publishes nothing more, waits for the confirms, announces and ends', async () => {
    const { producer, publisher, shutdown, publishedSms, announcements, clock } = setUp({
      maxUnconfirmed: 5,
    });
    const done = producer.produce(generateRun('demo', 1_000_000));
    await settle();
    shutdown.abort('SIGINT');
    await clock.advance(4_000);
    publisher.answer = () => 'confirm';
    publisher.confirmAll();
    await done;
    expect(publishedSms()).toHaveLength(5);
    expect(producer.acceptedCount).toBe(5);
    expect(announcements().at(-1)).toMatchObject({ accepted: 5, acceptedUpTo: 5 });
    expect(clock.timerCount).toBe(0);
  });

  it('ends after 5 seconds without the confirms that do not come, and counts what was confirmed', async () => {
    const { producer, publisher, shutdown, clock } = setUp({ maxUnconfirmed: 5 });
    const done = producer.produce(generateRun('demo', 100)).then(() => 'ended');
    await settle();
    publisher.unconfirmed[0]?.confirm();
    await settle();
    shutdown.abort('SIGTERM');
    await clock.advance(4_999);
    await expect(Promise.race([done, settle().then(() => 'running')])).resolves.toBe('running');
    await clock.advance(2_001);
    await expect(done).resolves.toBe('ended');
    expect(producer.acceptedCount).toBe(1);
    expect(clock.timerCount).toBe(0);
  });

  it('ends while RabbitMQ is away and SMS wait to be published again', async () => {
    const { producer, publisher, shutdown, clock } = setUp();
    publisher.answer = () => new PublishUnknownError('gone');
    const done = producer.produce(generateRun('demo', 100));
    await clock.advance(60_000);
    shutdown.abort('SIGINT');
    await clock.advance(5_000);
    await done;
    expect(producer.acceptedCount).toBe(0);
    expect(clock.timerCount).toBe(0);
  });

  it('does not begin at all after a shutdown', async () => {
    const { producer, shutdown, publisher } = setUp();
    shutdown.abort('SIGINT');
    await producer.produce(generateRun('demo', 100));
    expect(publisher.published).toEqual([]);
  });
});

it('a run whose input fails half-way keeps its books before it fails', async () => {
  const { producer, publisher, announcements } = setUp();
  publisher.answer = () => 'confirm';
  async function* failing(): AsyncGenerator<NumberedSms[]> {
    yield* numbered(1, 2);
    throw new Error('disk error');
  }
  await expect(producer.produce(failing())).rejects.toThrow('disk error');
  expect(announcements()).toMatchObject([{ accepted: 2, acceptedUpTo: 2 }]);
});

describe('a rate', () => {
  it.each([
    { smsPerSecond: 100, seconds: 5 },
    { smsPerSecond: 3, seconds: 10 },
    { smsPerSecond: 0.5, seconds: 20 },
    { smsPerSecond: 7_500, seconds: 0.2 },
  ])('of $smsPerSecond SMS/s is kept evenly', async ({ smsPerSecond, seconds }) => {
    const { producer, publisher, publishedSms, clock, shutdown } = setUp({
      smsPerSecond,
      shardCount: 1,
      maxUnconfirmed: 100_000,
    });
    publisher.answer = ({ type }) => (type === 'sms' ? undefined : 'confirm');
    const startMs = clock.nowMs();
    const done = producer.produce(generateRun('demo', 1_000_000));
    await clock.advance(seconds * 1_000);
    const givenAtMs = publishedSms().map(({ timestampMs }) => timestampMs - startMs);
    expect(givenAtMs.length).toBe(Math.floor(seconds * smsPerSecond) + 1);
    for (const [index, atMs] of givenAtMs.entries()) {
      const dueMs = (index * 1_000) / smsPerSecond;
      expect(atMs - dueMs).toBeGreaterThanOrEqual(0);
      expect(atMs - dueMs).toBeLessThanOrEqual(1);
    }
    shutdown.abort('SIGINT');
    await clock.advance(10_000);
    await done;
  });

  it('catches up at most one second after a stall', async () => {
    const { producer, publisher, publishedSms, clock, shutdown } = setUp({
      smsPerSecond: 10,
      shardCount: 1,
      maxUnconfirmed: 10,
    });
    const done = producer.produce(generateRun('demo', 1_000_000));
    await clock.advance(30_000);
    expect(publishedSms()).toHaveLength(10);
    publisher.answer = () => 'confirm';
    publisher.confirmAll();
    await settle();
    // The one that is due now, and those of the second before.
    expect(publishedSms()).toHaveLength(10 + 11);
    await clock.advance(5_000);
    expect(publishedSms()).toHaveLength(10 + 11 + 50);
    shutdown.abort('SIGINT');
    await clock.advance(10_000);
    await done;
  });
});
