import { expect, test } from 'vitest';
import type { OutcomeRecord } from '../../../shared/domain/outcome/outcome.ts';
import type { OutgoingMessage } from '../../../shared/domain/sms/message.ts';
import { CountersLostError } from '../../../shared/errors.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import { RedriveRun } from './redrive-run.ts';
import { redrivenIdOf } from './redriven-sms.ts';

const RUN = 'again';

interface Message {
  readonly messageId: string;
  readonly deliveryTag: number;
  readonly body: Buffer | undefined;
}

/**
 * RabbitMQ, senders and Redis around a redrive. Senders meet a released SMS only after Redis was asked a second time, so
 * whoever dies before leaves SMS that nobody knows of.
 */
class World {
  readonly work: string[] = [];
  readonly releasedAtMs: number[] = [];
  queue: Message[] = [];
  isQueueThere = false;
  nowMs = 1_700_000_000_000;
  /** How many calls the process lives for. */
  callsLeft = Number.POSITIVE_INFINITY;
  /** How often Redis still tells that it lost what it knew. */
  lossesLeft = 0;
  readonly said: string[] = [];
  readonly #asked = new Map<string, number>();
  readonly #fails: (smsId: string) => boolean;
  #tag = 0;

  constructor(fails: (smsId: string) => boolean = () => false) {
    this.#fails = fails;
  }

  readonly clock: Clock = {
    nowMs: () => this.nowMs,
    after: (delayMs, callback) => {
      const timer = setImmediate(() => {
        this.nowMs += delayMs;
        callback();
      });
      return () => clearImmediate(timer);
    },
  };

  redrive(smsCount: number, smsPerSecond?: number, shutdown = new AbortController().signal) {
    const isResumed = this.isQueueThere;
    this.isQueueThere = true;
    return new RedriveRun<Message>(
      { run: RUN, smsPerSecond, keepTimeMs: 86_400_000, isResumed, acceptedBefore: 0 },
      {
        records: failedSms(smsCount),
        clock: this.clock,
        shutdown,
        say: (sentence) => this.said.push(sentence),
        onAccepted: () => {},
        take: () => this.#call(() => this.#hand()),
        statesOf: (ids) =>
          this.#call(() => {
            this.lossesLeft -= 1;
            if (this.lossesLeft >= 0) throw new CountersLostError();
            return ids.map((id) => this.#stateOf(id));
          }),
      },
    );
  }

  async #call<Value>(call: () => Value): Promise<Value> {
    this.#live();
    return call();
  }

  #live(): void {
    this.callsLeft -= 1;
    if (this.callsLeft < 0) throw new Error('killed');
  }

  #hand() {
    const messages = [...this.queue];
    const settle = (message: Message) => {
      this.#live();
      expect(this.queue).toContain(message);
      this.queue = this.queue.filter((each) => each !== message);
    };
    return {
      messages,
      stage: async (list: readonly OutgoingMessage[]) => {
        for (const { messageId, type, body } of list) {
          this.#live();
          this.#tag += 1;
          const message = { messageId, deliveryTag: this.#tag, body: type === 'ledger' ? body : undefined };
          this.queue.push(message);
          messages.push(message);
        }
      },
      release: (message: Message) => {
        settle(message);
        this.work.push(message.messageId);
        this.releasedAtMs.push(this.nowMs);
      },
      drop: settle,
      close: () => this.#call(() => {}),
    };
  }

  #stateOf(id: string): string | undefined {
    if (!this.work.includes(id)) return undefined;
    const asked = (this.#asked.get(id) ?? 0) + 1;
    this.#asked.set(id, asked);
    if (asked < 2) return undefined;
    return this.#fails(id) ? 'failed' : 'sent';
  }
}

async function* failedSms(count: number): AsyncGenerator<OutcomeRecord> {
  for (let number = 1; number <= count; number += 1) yield failed(`old-${number}`);
}

function failed(smsId: string): OutcomeRecord {
  const at = '2026-11-29T10:00:00.000Z';
  return {
    ...{ smsId, run: 'old', queue: 'sms', to: '+15550100001', text: 'Hello', status: 'failed' },
    ...{ reason: 'timeout', acceptedAt: at, finishedAt: at, attempts: [] },
  };
}

function idsOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => redrivenIdOf(`old-${index + 1}`, RUN)).sort();
}

test('a redrive that is killed anywhere and called again sends each SMS exactly once', async () => {
  let isKilled = true;
  for (let calls = 0; isKilled; calls += 1) {
    const world = new World();
    world.callsLeft = calls;
    isKilled = await world
      .redrive(12)
      .perform()
      .then(
        () => false,
        () => true,
      );
    world.callsLeft = Number.POSITIVE_INFINITY;
    expect(await world.redrive(12).perform()).toBe('done');
    expect(world.work.sort(), `killed at call ${calls}`).toEqual(idsOf(12));
    // Also with a third call, and more SMS to send.
    expect(await world.redrive(14).perform()).toBe('done');
    expect(world.work.sort(), `killed at call ${calls}`).toEqual(idsOf(14));
  }
});

test('batches grow, each after the outcomes of the one before, and no further one comes once most of one failed', async () => {
  const fifth = new Set(idsOfRange(9, 28));
  const world = new World((id) => fifth.has(id));
  const redriving = world.redrive(1_000);
  expect(await redriving.perform()).toBe('stopped');
  // 1, 2, 5, and 20 of which all failed.
  expect(redriving).toMatchObject({ sentCount: 28, batchCount: 4, failedAgainCount: 20, acceptedCount: 28 });
  expect(world.work.length).toBe(28);
  expect(world.said).toEqual([expect.stringMatching(/^stopped: 20 of the 20 SMS/)]);
});

function idsOfRange(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => redrivenIdOf(`old-${first + index}`, RUN));
}

test('SMS leave at the rate, batch by batch', async () => {
  const world = new World();
  expect(await world.redrive(628, 40).perform()).toBe('done');
  const last = world.releasedAtMs.slice(128);
  const seconds = ((last.at(-1) ?? 0) - (last[0] ?? 0)) / 1_000;
  expect((last.length - 1) / seconds).toBeGreaterThan(38);
  expect((last.length - 1) / seconds).toBeLessThan(42);
});

test('an interrupted redrive says so, and what it has not sent stays in its queue', async () => {
  const world = new World();
  const shutdown = new AbortController();
  const redriving = world.redrive(28, 10, shutdown.signal);
  const performed = redriving.perform();
  while (world.work.length < 15) await new Promise((resolve) => setImmediate(resolve));
  shutdown.abort();
  expect(await performed).toBe('interrupted');
  expect(world.queue.length).toBe(28 - redriving.sentCount + 1);
  expect(await world.redrive(28).perform()).toBe('done');
  expect(world.work.sort()).toEqual(idsOf(28));
});

test('what was interrupted before Redis forgot it is refused', async () => {
  const world = new World();
  world.callsLeft = 12;
  await expect(world.redrive(12).perform()).rejects.toThrow('killed');
  expect(world.queue.length).toBeGreaterThan(0);
  world.callsLeft = Number.POSITIVE_INFINITY;
  world.nowMs += 86_400_001;
  await expect(world.redrive(12).perform()).rejects.toMatchObject({ code: 'REDRIVE_FORGOTTEN' });
});

test('while Redis has lost what it knew, nothing is sent', async () => {
  const world = new World();
  world.lossesLeft = 5;
  const performed = world.redrive(3).perform();
  while (world.lossesLeft > 1) {
    expect(world.work).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await performed).toBe('done');
  expect(world.work.sort()).toEqual(idsOf(3));
  expect(world.said).toEqual(['waiting: Redis holds no valid counters; a sender makes them from S3']);
});
