/** What a sender does while the carrier throttles or the sending window is closed. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { GatewayResult } from '../../shared/domain/outcome/attempt.ts';
import { parseSendingWindow, type SendingWindow } from '../../shared/domain/schedule/sending-window.ts';
import { LANES } from '../../shared/domain/topology/lanes.ts';
import { NO_DIRECTIVES } from '../../shared/pipeline/attempt/directives.ts';
import type { PauseBoard } from '../../shared/ports/gateway.ts';
import { HandDrivenQueue, type HandDrivenSource } from '../../tests/kit/hand-driven-queue.ts';
import { letRun, ManualClock } from '../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { RecordingPublisher } from '../../tests/kit/recording-publisher.ts';
import { MemoryStartMarks } from '../../tests/kit/stores/memory-start-marks.ts';
import { journalOf } from '../pipeline.ts';
import { PassOn } from './pass-on.ts';
import { SmsSender } from './sms-sender.ts';

const BODY = Buffer.from('{"to":"+15550100001","text":"hello"}');
const WORK = LANES.findIndex(({ routingKey }) => routingKey === 'work');

let clock: ManualClock;
let log: RecordedLog;
let queues: HandDrivenQueue[];
let sources: HandDrivenSource[];
let deadLetters: HandDrivenQueue;
let publisher: RecordingPublisher;
let marks: MemoryStartMarks;
let sent: string[];
/** What the gateway answers at once. */
let answer: (id: string) => GatewayResult;

beforeEach(() => {
  clock = new ManualClock();
  log = new RecordedLog();
  queues = LANES.map(() => new HandDrivenQueue());
  sources = queues.map((queue) => queue.consumer());
  deadLetters = new HandDrivenQueue();
  publisher = new RecordingPublisher();
  marks = new MemoryStartMarks();
  sent = [];
  answer = () => ({ kind: 'sent' });
});

function startSender(more: { window?: SendingWindow; pauseBoard?: PauseBoard } = {}): SmsSender {
  const parking = { queue: 'sms', clock, digest: () => 'digest', log };
  const ports = { publisher, clock, pause: async () => {} };
  const journal = journalOf(ports, { senderId: 's1', journalBytes: 10_000 });
  const passOn = new PassOn({ ...ports, ...parking, journal });
  const gateway = {
    async send({ id }: { id: string }) {
      sent.push(id);
      return answer(id);
    },
    close() {},
  };
  const sender = new SmsSender({
    ...{ laneSources: sources, deadLetterSource: deadLetters.consumer(), passOn, journal, marks },
    ...{ concurrency: 2, maxUnfinished: 100, gateway, schedule: [5_000], directives: NO_DIRECTIVES },
    ...{ ...parking, ...more },
  });
  sender.start();
  return sender;
}

async function publishSms(id: string, headers: Record<string, unknown> = {}): Promise<void> {
  const isRedelivered = 'x-delivery-count' in headers;
  queues[WORK]?.publish({ body: BODY, messageId: id, isRedelivered, headers: { run: 'demo', ...headers } });
  await letRun();
}

function throttleFor(durationMs: number): void {
  const untilMs = clock.nowMs() + durationMs;
  answer = () => ({ kind: 'throttled', untilMs });
}

const acknowledgedIds = () => queues[WORK]?.acknowledged.map(({ messageId }) => messageId);
const given = () => publisher.published.filter(({ routingKey }) => routingKey.startsWith('hold'));
const journalled = () => publisher.published.filter(({ routingKey }) => routingKey === 'journal').length;
const areConsuming = () => sources.map(({ isConsuming }) => isConsuming);

describe('while the carrier throttles', () => {
  it('nothing begins, and what was throttled goes first afterwards, with no attempt spent', async () => {
    throttleFor(10_000);
    const sender = startSender();
    for (const id of ['a', 'b', 'c']) await publishSms(id);
    expect(sent).toEqual(['a']);
    answer = () => ({ kind: 'sent' });
    await clock.advance(9_999);
    expect([sent, journalled(), acknowledgedIds()]).toEqual([['a'], 0, []]);
    expect(sender.load).toEqual({ inFlight: 0, isGatewayPaused: true, throttledCount: 1 });
    await clock.advance(10_000);
    expect(sent).toEqual(['a', 'a', 'b', 'c']);
    expect(sender.load).toEqual({ inFlight: 0, isGatewayPaused: false, throttledCount: 1 });
    expect([acknowledgedIds(), given()]).toEqual([['a', 'b', 'c'], []]);
    const outcomes = publisher.published.flatMap(({ body }) => body.toString().match(/"attempt":\d/g));
    expect(outcomes).toEqual(['"attempt":1', '"attempt":1', '"attempt":1']);
  });

  it('dead letters are parked all the same', async () => {
    throttleFor(10_000);
    startSender();
    await publishSms('a');
    deadLetters.publish({ body: BODY, messageId: 'dead' });
    await clock.advance(100);
    expect(deadLetters.acknowledged.length).toBe(1);
  });

  it('an SMS whose channel dies comes again, and is sent once', async () => {
    throttleFor(10_000);
    startSender();
    await publishSms('a');
    sources[WORK]?.breakChannel();
    answer = () => ({ kind: 'sent' });
    await clock.advance(15_000);
    expect([sent, acknowledgedIds()]).toEqual([['a', 'a'], ['a']]);
  });

  it('a suspect is marked again at its next start', async () => {
    throttleFor(10_000);
    startSender();
    await publishSms('s', { 'x-delivery-count': 5 });
    await letRun();
    expect([sent, await marks.unendedStarts('s')]).toEqual([['s'], 0]);
    let marksAtStart = 0;
    answer = () => {
      void marks.unendedStarts('s').then((count) => {
        marksAtStart = count;
      });
      return { kind: 'sent' };
    };
    await clock.advance(11_000);
    expect([sent, marksAtStart, acknowledgedIds()]).toEqual([['s', 's'], 1, ['s']]);
  });

  it('a drain returns at once and leaves the SMS to others', async () => {
    throttleFor(10_000);
    const sender = startSender();
    await publishSms('a');
    expect(await sender.drain(new AbortController().signal)).toBe(0);
    expect([acknowledgedIds(), clock.timerCount]).toEqual([[], 0]);
  });
});

describe('a pause longer than 30 s', () => {
  it('gives back what is in the hand, as it came, by way of the hold queues', async () => {
    throttleFor(20_000);
    let leftMs = 0;
    startSender({ pauseBoard: { exchange: async () => leftMs } });
    await clock.advance(500);
    for (const id of ['a', 'b']) await publishSms(id, { priority: 'low', own: 'header' });
    const early = clock.nowMs() + 900;
    await publishSms('held', { notBefore: early });
    await publishSms('suspect', { 'x-delivery-count': 5 });
    expect(given()).toEqual([]);
    leftMs = 60_000;
    await clock.advance(600);
    expect(areConsuming()).toEqual([false, false, false, false]);
    expect(
      given()
        .map(({ messageId, routingKey }) => `${messageId} ${routingKey}`)
        .sort(),
    ).toEqual(['a hold.16s', 'b hold.16s', 'held hold.16s', 'suspect hold.16s']);
    const headersOf = (id: string) => given().find(({ messageId }) => messageId === id)?.headers;
    expect(headersOf('held')).toMatchObject({ notBefore: early });
    expect(headersOf('a')).toMatchObject({ run: 'demo', priority: 'low', own: 'header' });
    expect(headersOf('a')).not.toHaveProperty('notBefore');
    expect(acknowledgedIds()?.sort()).toEqual(['a', 'b', 'held', 'suspect']);
    expect(queues[WORK]?.unacknowledgedCount).toBe(0);
  });

  it('ends with the lanes being consumed again', async () => {
    throttleFor(60_000);
    startSender();
    await publishSms('a');
    await clock.advance(100);
    await publishSms('b');
    for (const source of sources) source.breakChannel();
    await clock.advance(59_000);
    expect([areConsuming()[WORK], sent, queues[WORK]?.readyCount]).toEqual([false, ['a'], 1]);
    answer = () => ({ kind: 'sent' });
    await clock.advance(1_000);
    expect([areConsuming()[WORK], sent]).toEqual([true, ['a', 'b']]);
  });

  it('keeps a delivery until its message is confirmed', async () => {
    publisher.confirmsAtOnce = false;
    throttleFor(60_000);
    const sender = startSender();
    await publishSms('a');
    expect([given().length, acknowledgedIds()]).toEqual([1, []]);
    const drained = sender.drain(new AbortController().signal);
    publisher.confirmOpen();
    expect([await drained, acknowledgedIds()]).toEqual([0, ['a']]);
    expect(areConsuming()).toEqual([false, false, false, false]);
  });
});

describe('senders that share their pauses', () => {
  it('tell a pause at once and once, and learn of others within a second', async () => {
    const told: number[] = [];
    let leftMs = 0;
    const pauseBoard: PauseBoard = {
      async exchange(ownMs) {
        if (ownMs > 0) told.push(ownMs);
        return leftMs;
      },
    };
    startSender({ pauseBoard });
    throttleFor(5_000);
    await publishSms('a');
    expect(told).toEqual([5_000]);
    answer = () => ({ kind: 'sent' });
    await clock.advance(10_000);
    expect(sent).toEqual(['a', 'a']);
    leftMs = 7_000;
    await clock.advance(1_000);
    leftMs = 0;
    await publishSms('b');
    await clock.advance(5_000);
    expect(sent).toEqual(['a', 'a']);
    await clock.advance(2_000);
    expect([sent, told]).toEqual([['a', 'a', 'b'], [5_000]]);
  });

  it('tell a pause that began while the board was away once it is back, shorter by what has passed', async () => {
    const told: number[] = [];
    let isAway = true;
    const pauseBoard: PauseBoard = {
      async exchange(ownMs) {
        if (isAway) throw new Error('away');
        if (ownMs > 0) told.push(ownMs);
        return 0;
      },
    };
    startSender({ pauseBoard });
    throttleFor(5_000);
    await publishSms('a');
    isAway = false;
    await clock.advance(1_000);
    expect(told).toEqual([4_000]);
  });
});

describe('while the sending window is closed', () => {
  const windowOf = (text: string): SendingWindow => {
    const parsed = parseSendingWindow(text);
    if ('problem' in parsed) throw new Error(parsed.problem);
    return parsed.window;
  };

  it('nothing is consumed from the start on, and all of it from the opening on, without a ramp', async () => {
    // The clock shows 10:00.
    startSender({ window: windowOf('11:00-12:00 UTC') });
    for (let number = 1; number <= 20; number += 1) await publishSms(`a-${number}`);
    await clock.advance(3_599_999);
    expect([areConsuming()[WORK], queues[WORK]?.readyCount, sent]).toEqual([false, 20, []]);
    await clock.advance(1);
    expect([areConsuming()[WORK], sent.length]).toEqual([true, 20]);
  });

  it('what is in the hand at the closing is given back', async () => {
    startSender({ window: windowOf('09:00-10:01 UTC') });
    throttleFor(29_000);
    await clock.advance(40_000);
    throttleFor(29_000);
    await publishSms('a');
    expect(given()).toEqual([]);
    await clock.advance(20_000);
    expect(given().map(({ messageId, routingKey }) => [messageId, routingKey])).toEqual([
      ['a', 'hold.65536s'],
    ]);
    expect([areConsuming()[WORK], acknowledgedIds()]).toEqual([false, ['a']]);
  });

  it('an SMS that expires before the opening ends at once', async () => {
    startSender({ window: windowOf('09:00-10:01 UTC') });
    await clock.advance(40_000);
    throttleFor(29_000);
    await publishSms('a', { expiresAt: clock.nowMs() + 3_600_000 });
    await clock.advance(20_100);
    expect([given(), acknowledgedIds()]).toEqual([[], ['a']]);
    expect(publisher.published.map(({ body }) => body.toString()).join()).toContain('"reason":"expired"');
  });
});
