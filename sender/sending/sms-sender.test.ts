import { beforeEach, describe, expect, it } from 'vitest';
import type { GatewayResult } from '../../shared/domain/outcome/attempt.ts';
import { PublishUnknownError, UnencodableError } from '../../shared/errors.ts';
import { NO_DIRECTIVES } from '../../shared/pipeline/attempt/directives.ts';
import type { Gateway } from '../../shared/ports/gateway.ts';
import type { Publisher } from '../../shared/ports/publisher.ts';
import { HandDrivenQueue, type HandDrivenSource } from '../../tests/kit/hand-driven-queue.ts';
import { letRun, ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { RecordingPublisher } from '../../tests/kit/recording-publisher.ts';
import { MemoryStartMarks } from '../../tests/kit/stores/memory-start-marks.ts';
import { journalOf } from '../pipeline.ts';
import { PassOn } from './pass-on.ts';
import { SmsSender } from './sms-sender.ts';

const SENT: GatewayResult = { kind: 'sent' };
const FAILED: GatewayResult = { kind: 'failed', reason: 'timeout', isPermanent: false };

/** A gateway that answers when the test says so. */
class HandDrivenGateway implements Gateway {
  readonly sent: string[] = [];
  readonly pending = new Map<string, (result: GatewayResult) => void>();
  maxPendingCount = 0;
  isClosed = false;
  readonly #breakOffs: (() => void)[] = [];

  send({ id }: { id: string }): Promise<GatewayResult> {
    this.sent.push(id);
    return new Promise((resolve, reject) => {
      this.pending.set(id, resolve);
      this.#breakOffs.push(() => reject(new Error('closed')));
      this.maxPendingCount = Math.max(this.maxPendingCount, this.pending.size);
    });
  }

  close(): void {
    this.isClosed = true;
    for (const breakOff of this.#breakOffs) breakOff();
  }

  answer(id: string, result: GatewayResult = SENT): void {
    this.pending.get(id)?.(result);
    this.pending.delete(id);
  }
}

let clock: ManualClock;
let log: RecordedLog;
let due: HandDrivenQueue;
let work: HandDrivenQueue;
let deadLetters: HandDrivenQueue;
let high: HandDrivenQueue;
let low: HandDrivenQueue;
let sources: HandDrivenSource[];
let publisher: RecordingPublisher;
let gateway: HandDrivenGateway;
let marks: MemoryStartMarks;

beforeEach(() => {
  clock = new ManualClock();
  log = new RecordedLog();
  due = new HandDrivenQueue();
  work = new HandDrivenQueue();
  high = new HandDrivenQueue();
  low = new HandDrivenQueue();
  deadLetters = new HandDrivenQueue();
  sources = [high.consumer(), due.consumer(), work.consumer(), low.consumer()];
  publisher = new RecordingPublisher();
  gateway = new HandDrivenGateway();
  marks = new MemoryStartMarks();
});

function startSender(concurrency = 2, maxUnfinished = 100, toPublisher: Publisher = publisher): SmsSender {
  const pause = async () => {};
  const parking = { queue: 'sms', clock, digest: () => 'digest', log };
  const ports = { publisher: toPublisher, clock, pause };
  const journal = journalOf(ports, { senderId: 's1', journalBytes: 10_000 });
  const passOn = new PassOn({ ...ports, ...parking, journal });
  const sender = new SmsSender({
    ...{ laneSources: sources, deadLetterSource: deadLetters.consumer(), passOn, journal, marks },
    ...{ concurrency, maxUnfinished, gateway, schedule: [5_000], directives: NO_DIRECTIVES, ...parking },
  });
  sender.start();
  return sender;
}

/** Publishes it, and lets it begin where there is a place. */
async function publishSms(queue: HandDrivenQueue, id: string, headers: Record<string, unknown> = {}) {
  const body = Buffer.from('{"to":"+15550100001","text":"hello"}');
  const isRedelivered = 'x-delivery-count' in headers;
  queue.publish({ body, messageId: id, isRedelivered, headers: { run: 'demo', ...headers } });
  await letRun();
}

const acknowledgedIds = (queue: HandDrivenQueue) => queue.acknowledged.map(({ messageId }) => messageId);
const publishedTo = (routingKey: string) =>
  publisher.published.filter((message) => message.routingKey.startsWith(routingKey));

describe('the places of a sender', () => {
  it('are never more than its concurrency, and each that becomes free is taken at once', async () => {
    startSender(3);
    for (let number = 1; number <= 20; number += 1) await publishSms(work, `a-${number}`);
    for (let number = 1; number <= 20; number += 1) {
      await letRun();
      expect(gateway.pending.size).toBe(Math.min(3, 21 - number));
      gateway.answer(`a-${number}`);
    }
    await clock.advance(5);
    expect(gateway.maxPendingCount).toBe(3);
    expect(work.acknowledged.length).toBe(20);
  });

  it('are not taken by SMS that wait for a confirm', async () => {
    publisher.confirmsAtOnce = false;
    startSender(1);
    for (const id of ['a', 'b', 'c']) await publishSms(work, id);
    for (const id of ['a', 'b', 'c']) {
      await letRun();
      expect([...gateway.pending.keys()]).toEqual([id]);
      gateway.answer(id, FAILED);
    }
    await clock.advance(5);
    expect(acknowledgedIds(work)).toEqual([]);
    publisher.confirmOpen();
    await letRun();
    expect(acknowledgedIds(work)).toEqual(['a', 'b', 'c']);
  });

  it('go to SMS that are due first, but one in ten to fresh ones', async () => {
    startSender(1);
    await publishSms(work, 'first');
    for (let number = 1; number <= 20; number += 1) await publishSms(work, `work-${number}`);
    for (let number = 1; number <= 30; number += 1) await publishSms(due, `due-${number}`);
    for (let turn = 0; turn < 31; turn += 1) {
      gateway.answer(gateway.sent.at(-1) ?? '');
      await letRun();
    }
    const lanes = gateway.sent.slice(1).map((id) => id.split('-')[0]);
    expect(lanes.slice(0, 10).filter((lane) => lane === 'due').length).toBe(9);
    expect(lanes.slice(0, 30).filter((lane) => lane === 'work').length).toBe(3);
    expect(gateway.sent.slice(1).filter((id) => id.startsWith('due'))[0]).toBe('due-1');
  });
});

describe('SMS that come less than a second before they are due', () => {
  it('take no place from others while they are held, and start on time', async () => {
    startSender(2);
    const dueMs = clock.nowMs() + 999;
    for (let number = 1; number <= 20; number += 1)
      await publishSms(due, `due-${number}`, { notBefore: dueMs });
    for (const id of ['work-1', 'work-2', 'work-3']) {
      await publishSms(work, id);
      expect(gateway.sent.at(-1)).toBe(id);
      gateway.answer(id);
    }
    await clock.advance(998);
    expect(gateway.sent.length).toBe(3);
    await clock.advance(1);
    expect(gateway.sent.slice(3)).toEqual(['due-1', 'due-2']);
    expect(publishedTo('retry')).toEqual([]);
  });

  it('are held once, however often their channel dies meanwhile', async () => {
    startSender();
    const dueMs = clock.nowMs() + 999;
    for (const id of ['a', 'b']) await publishSms(due, id, { notBefore: dueMs });
    for (let deaths = 0; deaths < 5; deaths += 1) {
      sources[1]?.breakChannel();
      await clock.advance(100);
    }
    expect(clock.timerCount).toBe(2);
    await clock.advance(499);
    expect(gateway.sent).toEqual(['a', 'b']);
  });

  it('go back at once when the sender drains', async () => {
    const sender = startSender();
    await publishSms(due, 'a', { notBefore: clock.nowMs() + 999 });
    expect(await sender.drain(new AbortController().signal)).toBe(0);
    expect(clock.timerCount).toBe(0);
    await clock.advance(2_000);
    expect(gateway.sent).toEqual([]);
  });
});

describe('a delivery', () => {
  it('of an SMS that was sent is acknowledged when the journal is confirmed', async () => {
    publisher.confirmsAtOnce = false;
    startSender();
    await publishSms(work, 'a');
    gateway.answer('a');
    await clock.advance(5);
    expect(publisher.open.map(({ message }) => message.routingKey)).toEqual(['journal']);
    expect(acknowledgedIds(work)).toEqual([]);
    publisher.confirmOpen();
    await letRun();
    expect(acknowledgedIds(work)).toEqual(['a']);
  });

  it.each(['journal', 'retry'])('of an SMS that failed waits for the %s, too', async (last) => {
    publisher.confirmsAtOnce = false;
    startSender();
    await publishSms(work, 'a');
    gateway.answer('a', FAILED);
    await clock.advance(5);
    publisher.confirmOpen(({ routingKey }) => !routingKey.startsWith(last));
    await letRun();
    expect(acknowledgedIds(work)).toEqual([]);
    publisher.confirmOpen();
    await letRun();
    expect(acknowledgedIds(work)).toEqual(['a']);
    expect(work.settledTwiceCount).toBe(0);
  });

  it('is kept while its retry is published again after an unknown fate', async () => {
    publisher.confirmsAtOnce = false;
    startSender();
    await publishSms(work, 'a');
    gateway.answer('a', FAILED);
    await clock.advance(5);
    publisher.confirmOpen(({ routingKey }) => routingKey === 'journal');
    publisher.open.pop()?.fail(new PublishUnknownError('the connection ended'));
    await letRun();
    expect(acknowledgedIds(work)).toEqual([]);
    publisher.confirmOpen();
    await letRun();
    expect(acknowledgedIds(work)).toEqual(['a']);
    expect(publishedTo('retry').map(({ messageId }) => messageId)).toEqual(['a', 'a']);
  });

  it('whose channel died before the gateway answered leads to nothing: the SMS comes again', async () => {
    startSender();
    await publishSms(work, 'a');
    sources[2]?.breakChannel();
    await letRun();
    expect(gateway.sent).toEqual(['a', 'a']);
    gateway.answer('a');
    await clock.advance(5);
    expect(publishedTo('journal').length).toBe(1);
    expect(acknowledgedIds(work)).toEqual(['a']);
  });

  it('whose channel died while it waited for its turn is not sent for it', async () => {
    startSender(1);
    await publishSms(work, 'a');
    await publishSms(work, 'b');
    sources[2]?.end();
    gateway.answer('a');
    await clock.advance(5);
    expect(gateway.sent).toEqual(['a']);
    expect(publisher.published).toEqual([]);
  });

  it('whose channel died while it was held for its due time is not sent for it', async () => {
    startSender();
    await publishSms(work, 'a', { notBefore: clock.nowMs() + 500 });
    await letRun();
    sources[2]?.end();
    await clock.advance(600);
    expect(gateway.sent).toEqual([]);
    expect(log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('whose channel died before the retry was confirmed is not published again', async () => {
    publisher.confirmsAtOnce = false;
    startSender();
    await publishSms(work, 'a');
    gateway.answer('a', FAILED);
    await clock.advance(5);
    sources[2]?.end();
    for (const { fail } of publisher.open.splice(0)) fail(new PublishUnknownError('gone'));
    await letRun();
    expect(publishedTo('retry').length).toBe(1);
    expect(acknowledgedIds(work)).toEqual([]);
  });

  it('with headers that cannot be encoded is passed on without them', async () => {
    const refusing = {
      publish: (message: Parameters<RecordingPublisher['publish']>[0]) =>
        'strange' in message.headers
          ? Promise.reject(new UnencodableError({ cause: 'bigint' }))
          : publisher.publish(message),
    };
    startSender(1, 100, refusing);
    await publishSms(work, 'a', { strange: 1n });
    gateway.answer('a', FAILED);
    await clock.advance(5);
    expect(publishedTo('retry')[0]?.headers).not.toHaveProperty('strange');
    expect(acknowledgedIds(work)).toEqual(['a']);
  });
});

describe('an SMS that was handed out again and again', () => {
  const OFTEN = { 'x-delivery-count': 5 };
  const startOften = (id: string) => publishSms(work, id, OFTEN);

  it('is begun beside the others, ten such SMS at a time, each marked while it lasts', async () => {
    startSender(50);
    for (let number = 1; number <= 12; number += 1) await startOften(`often-${number}`);
    await publishSms(work, 'other');
    expect([...gateway.pending.keys()]).toEqual([
      ...Array.from({ length: 10 }, (_, index) => `often-${index + 1}`),
      'other',
    ]);
    expect(marks.starts.size).toBe(10);
    gateway.answer('often-3');
    await clock.advance(5);
    expect(marks.starts.has('often-3')).toBe(false);
    expect(gateway.pending.has('often-11')).toBe(true);
  });

  it('is begun alone once a start of it has not ended', async () => {
    marks.starts.set('marked', 1);
    startSender(50);
    for (const id of ['a', 'b']) await publishSms(work, id);
    await startOften('marked');
    await publishSms(work, 'c');
    expect([...gateway.pending.keys()]).toEqual(['a', 'b']);
    for (const id of ['a', 'b']) gateway.answer(id);
    await clock.advance(5);
    expect([...gateway.pending.keys()]).toEqual(['marked']);
    expect(marks.starts.get('marked')).toBe(2);
    gateway.answer('marked');
    await clock.advance(5);
    expect([...gateway.pending.keys()]).toEqual(['c']);
    expect(marks.starts.size).toBe(0);
  });

  it('is parked after five starts without an end, in its books with what it went through', async () => {
    marks.starts.set('poison', 5);
    startSender();
    const history = JSON.stringify([
      { attempt: 1, startedAt: '2026-11-22T10:00:00.000Z', tookMs: 5, result: 'failed', reason: 'timeout' },
    ]);
    await publishSms(due, 'poison', { ...OFTEN, attempt: 2, history });
    await clock.advance(5);
    expect(gateway.sent).toEqual([]);
    expect(publishedTo('parked')[0]?.headers).toMatchObject({
      'parked-reason': 'its sender died at each of five starts',
    });
    const [outcome] = publishedTo('journal').map(({ body }) => JSON.parse(body.toString()));
    expect(outcome).toMatchObject({ smsId: 'poison', status: 'parked', attempts: [{ attempt: 1 }] });
    expect(acknowledgedIds(due)).toEqual(['poison']);
    expect(marks.starts.size).toBe(0);
  });

  it('is sent without marks while those are away', async () => {
    marks.isAway = true;
    startSender();
    await startOften('a');
    gateway.answer('a');
    await clock.advance(5);
    expect(acknowledgedIds(work)).toEqual(['a']);
  });

  it('is no suspect below that, and asks nobody', async () => {
    marks.isAway = true;
    startSender(50);
    for (let number = 1; number <= 12; number += 1)
      await publishSms(work, `a-${number}`, { 'x-delivery-count': 4 });
    expect(gateway.pending.size).toBe(12);
  });
});

it('begins no more than RabbitMQ hands out at once, also where channels die and nothing is confirmed', async () => {
  publisher.confirmsAtOnce = false;
  startSender(50, 3);
  for (const id of ['a', 'b', 'c']) await publishSms(work, id);
  for (const id of ['a', 'b', 'c']) gateway.answer(id, FAILED);
  await clock.advance(5);
  // They come again on another channel; what they led to still waits to be confirmed.
  sources[2]?.breakChannel();
  await letRun();
  expect(gateway.sent).toEqual(['a', 'b', 'c']);
  publisher.confirmOpen();
  publisher.confirmsAtOnce = true;
  await clock.advance(5);
  expect(gateway.sent).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
});

describe('draining', () => {
  it('finishes the sends, publishes at once, acknowledges, begins nothing, and leaves nothing', async () => {
    // RabbitMQ takes its time to cancel a consumer: a place that becomes free meanwhile stays free.
    for (const source of sources) {
      const cancel = source.cancel.bind(source);
      source.cancel = () => letRun().then(letRun).then(cancel);
    }
    const sender = startSender(2);
    for (const id of ['a', 'b', 'c']) await publishSms(work, id);
    let left: number | undefined;
    void sender.drain(new AbortController().signal).then((value) => {
      left = value;
    });
    gateway.answer('a');
    for (let turn = 0; turn < 5; turn += 1) await letRun();
    await publishSms(work, 'd');
    gateway.answer('b', FAILED);
    await letRun();
    expect(left).toBe(0);
    expect(gateway.sent).toEqual(['a', 'b']);
    expect(acknowledgedIds(work).sort()).toEqual(['a', 'b']);
    expect(work.unacknowledgedCount).toBe(1);
  });

  it('returns at once where nothing is on its way', async () => {
    expect(await startSender().drain(new AbortController().signal)).toBe(0);
  });

  it('beyond the deadline says how many are left and ends what the gateway waits for', async () => {
    publisher.confirmsAtOnce = false;
    const deadline = new AbortController();
    const sender = startSender(2);
    for (const id of ['a', 'b', 'c']) await publishSms(work, id);
    gateway.answer('a', FAILED);
    await letRun();
    const drained = sender.drain(deadline.signal);
    await letRun();
    deadline.abort();
    expect(await drained).toBe(3);
    expect(gateway.isClosed).toBe(true);
    for (const { fail } of publisher.open.splice(0))
      fail(new PublishUnknownError('the connection was closed'));
    await letRun();
    expect(publishedTo('retry').map(({ messageId }) => messageId)).toEqual(['a']);
    expect(log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('does not wait beyond the deadline for a broker that does not answer', async () => {
    const deadline = new AbortController();
    for (const source of sources) source.cancel = () => new Promise(() => {});
    const sender = startSender(2);
    await publishSms(work, 'a');
    const drained = sender.drain(deadline.signal);
    await letRun();
    deadline.abort();
    expect(await Promise.race([drained, letRun().then(() => 'waits')])).toBe(1);
  });

  it.each(Array.from({ length: 12 }, (_, turns) => turns))(
    'counts an SMS that goes from its send to its confirm at that very moment (%i turns later)',
    async (turns) => {
      publisher.confirmsAtOnce = false;
      const sender = startSender(2);
      await publishSms(work, 'a');
      await publishSms(work, 'b');
      gateway.answer('a');
      await clock.advance(5);
      const drained = sender.drain(new AbortController().signal);
      await letRun();
      // The confirm of one SMS and the gateway's answer to the other, a few turns of the microtask queue apart.
      publisher.confirmOpen();
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      gateway.answer('b');
      expect(await Promise.race([drained, letRun().then(() => 'waits')])).toBe('waits');
      publisher.confirmOpen();
      expect(await drained).toBe(0);
      expect(acknowledgedIds(work)).toEqual(['a', 'b']);
    },
  );
});
