import { beforeEach, describe, expect, it } from 'vitest';
import { letRun, ManualClock } from '../../../tests/kit/manual-clock.ts';
import { RecordedLog } from '../../../tests/kit/recorded-log.ts';
import type { AttemptRecord, GatewayResult } from '../../domain/outcome/attempt.ts';
import { decodeJournal, type JournalEntry } from '../../domain/outcome/journal.ts';
import { REASONS, type SendingRules } from '../../domain/schedule/retry-schedule.ts';
import { decodeEnvelope } from '../../domain/sms/envelope.ts';
import type { IncomingMessage, OutgoingMessage } from '../../domain/sms/message.ts';
import { holdDelayOf } from '../../domain/topology/topology.ts';
import type { Delivery } from '../../ports/delivery-source.ts';
import { type Directives, NO_DIRECTIVES } from './directives.ts';
import { performAttempt } from './perform-attempt.ts';
import type { Settlement } from './settlement.ts';

const BODY = Buffer.from('{"to":"+15550100001","text":"hello","reference":"order 7"}');
const FAILED: GatewayResult = { kind: 'failed', reason: 'timeout', isPermanent: false };
const SCHEDULE = [5_000, 30_000];

let clock: ManualClock;
let log: RecordedLog;
let answers: (() => Promise<GatewayResult>)[];
let sends: { id: string; attempt: number; atMs: number }[];
let isStopping: boolean;
/** Results of attempts that were told of. */
let heard: string[];

beforeEach(() => {
  clock = new ManualClock();
  log = new RecordedLog();
  answers = [];
  sends = [];
  isStopping = false;
  heard = [];
});

function answersWith(...results: GatewayResult[]): void {
  answers.push(...results.map((result) => async () => result));
}

function deliveryOf(message: Partial<IncomingMessage>): Delivery {
  const properties = { messageId: 'demo-000001', contentType: 'application/json', headers: { run: 'demo' } };
  return {
    message: { body: BODY, ...properties, ...message },
    isLive: () => true,
    acknowledge() {},
    reject() {},
  };
}

async function attemptOf(
  message: Partial<IncomingMessage>,
  schedule: readonly number[] = SCHEDULE,
  rules: Partial<SendingRules & { directives: Directives }> = {},
): Promise<Settlement> {
  const gateway = {
    send: async ({ id }: { id: string }, attempt: number) => {
      sends.push({ id, attempt, atMs: clock.nowMs() });
      return (await answers.shift()?.()) ?? { kind: 'sent' as const };
    },
    close() {},
  };
  const digest = (...parts: readonly (string | Buffer)[]) => `digest${parts.join('').length}`;
  const directives = NO_DIRECTIVES;
  const onAttempt = ({ result }: AttemptRecord) => heard.push(result);
  const options = { gateway, schedule, directives, ...rules, queue: 'sms', clock, digest, log, onAttempt };
  const settlement = await performAttempt(deliveryOf(message), options, () => isStopping);
  if ('kind' in settlement) throw new Error('throttled');
  return settlement;
}

function journalled({ journalLine }: Settlement): JournalEntry | undefined {
  return decodeJournal(Buffer.from(journalLine ?? '')).entries[0];
}

function outcomeIn(settlement: Settlement) {
  const entry = journalled(settlement);
  return entry?.kind === 'outcome' ? entry.record : undefined;
}

/** The message as the next sender gets it. */
function envelopeIn(message: OutgoingMessage | undefined) {
  const decoded = message === undefined ? undefined : decodeEnvelope(message);
  return decoded?.kind === 'readable' ? decoded.envelope : undefined;
}

/** The headers of an SMS that failed once, a while ago. */
function headersOfRetry(notBefore: number, attempt = 2): Record<string, unknown> {
  const history = Array.from({ length: attempt - 1 }, (_, index) => failedRecord(index + 1));
  return { run: 'demo', attempt, notBefore, acceptedAt: 1_000, history: JSON.stringify(history) };
}

function failedRecord(attempt: number): AttemptRecord {
  const startedAt = '2026-11-22T09:00:00.000Z';
  return { attempt, startedAt, tookMs: 300, result: 'failed', reason: 'timeout' };
}

describe('an attempt that succeeds', () => {
  it('ends in an outcome with content, times and attempt, and publishes no SMS', async () => {
    const startedAt = new Date(clock.nowMs()).toISOString();
    answers.push(async () => {
      await clock.advance(120);
      return { kind: 'sent' };
    });
    const settlement = await attemptOf({ headers: { run: 'demo', acceptedAt: clock.nowMs() - 50 } });
    expect(settlement.message).toBeUndefined();
    expect(JSON.parse(settlement.journalLine ?? '')).toEqual({
      smsId: 'demo-000001',
      run: 'demo',
      queue: 'sms',
      to: '+15550100001',
      text: 'hello',
      reference: 'order 7',
      status: 'sent',
      acceptedAt: '2026-11-22T09:59:59.950Z',
      finishedAt: '2026-11-22T10:00:00.120Z',
      attempts: [{ attempt: 1, startedAt, tookMs: 120, result: 'sent' }],
    });
  });

  it('after a failure carries the whole history and how late it was', async () => {
    const settlement = await attemptOf({ headers: headersOfRetry(clock.nowMs() - 6) });
    const second = {
      attempt: 2,
      startedAt: '2026-11-22T10:00:00.000Z',
      lateMs: 6,
      tookMs: 0,
      result: 'sent',
    };
    expect(outcomeIn(settlement)?.attempts).toEqual([failedRecord(1), second]);
    expect(outcomeIn(settlement)?.acceptedAt).toBe('1970-01-01T00:00:01.000Z');
  });

  it('never takes a negative time, also where the clock is stepped back meanwhile', async () => {
    answers.push(async () => {
      clock.stepBy(-3_600_000);
      return { kind: 'sent' };
    });
    expect(outcomeIn(await attemptOf({}))?.attempts[0]?.tookMs).toBe(0);
  });
});

describe('an attempt that fails', () => {
  it('is journalled, and its SMS goes to the retry queue of the attempt with the next number and its story', async () => {
    answers.push(async () => {
      await clock.advance(200);
      return FAILED;
    });
    const acceptedAt = clock.nowMs() - 10;
    const settlement = await attemptOf({ headers: { run: 'demo', acceptedAt } });
    const record = {
      attempt: 1,
      startedAt: '2026-11-22T10:00:00.000Z',
      tookMs: 200,
      result: 'failed',
      reason: 'timeout',
    };
    expect(journalled(settlement)).toEqual({
      kind: 'attempt',
      smsId: 'demo-000001',
      run: 'demo',
      attempt: record,
    });
    expect(settlement.message).toMatchObject({
      routingKey: 'retry.1.5s',
      messageId: 'demo-000001',
      type: 'sms',
      body: BODY,
    });
    expect(settlement.message?.headers).toEqual({
      attempt: 2,
      run: 'demo',
      acceptedAt,
      notBefore: clock.nowMs() + 5_000,
      history: JSON.stringify([record]),
    });
  });

  it('waits by its own place in the schedule', async () => {
    answersWith(FAILED);
    const settlement = await attemptOf({ headers: headersOfRetry(clock.nowMs(), 2) });
    expect(settlement.message?.routingKey).toBe('retry.2.30s');
    expect(envelopeIn(settlement.message)).toMatchObject({ attempt: 3, notBeforeMs: clock.nowMs() + 30_000 });
    expect(envelopeIn(settlement.message)?.history.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  it('without a wait left gives up, with its reason', async () => {
    answersWith(FAILED);
    const settlement = await attemptOf({ headers: headersOfRetry(clock.nowMs(), 3) });
    expect(settlement.message).toBeUndefined();
    expect(outcomeIn(settlement)).toMatchObject({ status: 'failed', reason: 'timeout' });
    expect(outcomeIn(settlement)?.attempts.length).toBe(3);
  });

  it('for good gives up at once', async () => {
    answersWith({ kind: 'failed', reason: 'unknown subscriber', isPermanent: true });
    const settlement = await attemptOf({});
    expect(settlement.message).toBeUndefined();
    expect(outcomeIn(settlement)).toMatchObject({ status: 'failed', reason: 'unknown subscriber' });
  });

  it('under a schedule that was shortened was the attempt it waited for, and gives up', async () => {
    answersWith(FAILED);
    const settlement = await attemptOf({ headers: headersOfRetry(clock.nowMs(), 4) }, [5_000]);
    expect(sends).toEqual([{ id: 'demo-000001', attempt: 4, atMs: clock.nowMs() }]);
    expect(settlement.message).toBeUndefined();
    expect(outcomeIn(settlement)?.attempts.length).toBe(4);
  });

  it('because the gateway throws counts like any other, and is logged without a phone number', async () => {
    answers.push(() => Promise.reject(new Error('socket hang up')));
    const settlement = await attemptOf({});
    expect(settlement.message?.routingKey).toBe('retry.1.5s');
    expect(journalled(settlement)).toMatchObject({ attempt: { result: 'failed', reason: 'gateway error' } });
    expect(log.count('the gateway broke')).toBe(1);
    expect(JSON.stringify(log.lines)).not.toContain('5550100001');
  });

  it('because the gateway was closed at the end of the shutdown timeout is no attempt', async () => {
    answers.push(() => {
      isStopping = true;
      return Promise.reject(new Error('the gateway was closed'));
    });
    await expect(attemptOf({})).rejects.toThrow('the gateway was closed');
  });

  it('takes along the headers of others, but none that a broker makes or believes', async () => {
    answersWith(FAILED);
    const forged = { 'x-death': [{ count: 99 }], 'x-first-death-queue': 'q', CC: ['work'], BCC: ['work'] };
    const headers = { run: 'demo', tenant: 'a', 'x-delivery-count': 3, ...forged };
    const { message, plainMessage } = await attemptOf({ headers });
    expect(Object.keys(message?.headers ?? {}).sort()).toEqual([
      'acceptedAt',
      'attempt',
      'history',
      'notBefore',
      'run',
      'tenant',
    ]);
    expect(plainMessage?.headers).not.toHaveProperty('tenant');
    expect({ ...plainMessage, headers: {} }).toEqual({ ...message, headers: {} });
  });
});

describe('an SMS that comes before it is due', () => {
  it('by less than a second is held and starts on time', async () => {
    const dueMs = clock.nowMs() + 999;
    const attempt = attemptOf({ headers: headersOfRetry(dueMs) });
    await clock.advance(998);
    expect(sends).toEqual([]);
    await clock.advance(1);
    expect(outcomeIn(await attempt)?.attempts[1]).toMatchObject({ lateMs: 0 });
    expect(sends.map(({ atMs }) => atMs)).toEqual([dueMs]);
  });

  it('is held on where its timer fires before the clock agrees', async () => {
    const dueMs = clock.nowMs() + 500;
    const attempt = attemptOf({ headers: headersOfRetry(dueMs) });
    await letRun();
    clock.stepBy(-1);
    await clock.advance(500);
    expect(sends).toEqual([]);
    await clock.advance(1);
    await attempt;
    expect(sends.map(({ atMs }) => atMs)).toEqual([dueMs]);
  });

  it.each([
    [1_500, 'hold.1s'],
    [4_499, 'hold.1s'],
    [4_500, 'hold.4s'],
    [86_400_000, 'hold.65536s'],
    [365 * 86_400_000, 'hold.262144s'],
  ])('by %i ms waits in %s, unchanged and not journalled', async (earlyMs, routingKey) => {
    const headers = { ...headersOfRetry(clock.nowMs() + earlyMs), tenant: 'a' };
    const settlement = await attemptOf({ headers });
    expect([sends, settlement.journalLine]).toEqual([[], undefined]);
    expect(settlement.message).toMatchObject({ routingKey, body: BODY, headers });
    expect(settlement.message?.headers.heldUntil).toBe(
      clock.nowMs() + (holdDelayOf(routingKey) ?? Number.NaN),
    );
    // A line for each hop would fill the log with what a client wished for.
    expect(log.lines).toEqual([]);
  });

  it.each([
    ['a year and a day', 367 * 86_400_000],
    ['a time in microseconds', Date.UTC(2026, 10, 22) * 1_000],
  ])('by %s is parked where it is a first attempt: nobody would wait for it', async (_, aheadMs) => {
    const notBefore = clock.nowMs() + aheadMs;
    const settlement = await attemptOf({ headers: { run: 'demo', notBefore } });
    expect(settlement.message?.routingKey).toBe('parked');
    expect(outcomeIn(settlement)).toMatchObject({
      status: 'parked',
      reason: expect.stringMatching(/^notBefore header is more than a year ahead: set milliseconds/),
    });
    // A retry got its time from a sender: here a clock is wrong, and not the SMS.
    const retry = await attemptOf({ headers: headersOfRetry(notBefore) });
    expect(retry.message?.routingKey).toBe('hold.262144s');
  });

  it('waits in a hold queue, too, where the clock is stepped back while it is held', async () => {
    const attempt = attemptOf({ headers: headersOfRetry(clock.nowMs() + 500) });
    await letRun();
    clock.stepBy(-3_600_000);
    await clock.advance(500);
    const isSettled = await Promise.race([attempt.then(() => true), letRun().then(() => false)]);
    expect(isSettled).toBe(true);
    expect((await attempt).message?.routingKey).toBe('hold.1024s');
    expect(sends).toEqual([]);
  });

  it('is not begun any more when the sender stops meanwhile', async () => {
    const attempt = attemptOf({ headers: headersOfRetry(clock.nowMs() + 500) });
    await letRun();
    isStopping = true;
    const rejection = expect(attempt).rejects.toThrow('stopped');
    await clock.advance(500);
    await rejection;
    expect(sends).toEqual([]);
  });
});

describe('who counts attempts', () => {
  it('hears of each that the gateway has answered, and of no SMS that ends or waits without one', async () => {
    answersWith(FAILED, { kind: 'throttled' }, { kind: 'sent' });
    const retried = await attemptOf({});
    await attemptOf({ headers: retried.message?.headers ?? {} });
    await attemptOf({ headers: { run: 'demo', expiresAt: 1 } });
    await expect(attemptOf({})).rejects.toThrow('throttled');
    await attemptOf({});
    expect(heard).toEqual(['failed', 'sent']);
  });
});

describe('an SMS that belongs to a trace', () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

  it('takes it along through retry and hold into its record, also where the headers of others cannot be published', async () => {
    answersWith(FAILED, { kind: 'sent' });
    const retried = await attemptOf({ headers: { run: 'demo', traceparent, tenant: 'a' } });
    expect(retried.message?.headers).toMatchObject({ traceparent, attempt: 2 });
    expect(retried.plainMessage?.headers).toMatchObject({ traceparent, attempt: 2 });
    // It comes back too early, and goes round by a hold queue.
    const held = await attemptOf({ headers: retried.message?.headers ?? {} });
    expect(held.message?.routingKey).toMatch(/^hold\./);
    expect(held.message?.headers).toMatchObject({ traceparent });
    await clock.advance(Number(held.message?.headers.notBefore) - clock.nowMs());
    const settlement = await attemptOf({ headers: held.message?.headers ?? {} });
    expect(outcomeIn(settlement)).toMatchObject({ status: 'sent', traceparent });
  });

  it.each(['00-abc', 7, ['x'], ''])(
    'that cannot be read (%j) is sent as one that belongs to none',
    async (header) => {
      answersWith(FAILED);
      const { message } = await attemptOf({ headers: { run: 'demo', traceparent: header } });
      expect(message?.headers).not.toHaveProperty('traceparent');
      expect(
        outcomeIn(await attemptOf({ headers: { run: 'demo', traceparent: header } })),
      ).not.toHaveProperty('traceparent');
    },
  );
});

describe('an SMS with a time of its own', () => {
  it('tells in its outcome the moment it waited for, how it went in, and when it would have expired', async () => {
    const dueMs = clock.nowMs() - 30;
    const expiresAt = clock.nowMs() + 60_000;
    const headers = { run: 'demo', notBefore: dueMs, expiresAt, priority: 'high' };
    answersWith(FAILED, { kind: 'sent' });
    const { message } = await attemptOf({ headers });
    expect(message?.headers).toMatchObject({ expiresAt, priority: 'high', attempt: 2 });
    const retryDueMs = Number(message?.headers.notBefore);
    await clock.advance(retryDueMs - clock.nowMs());
    expect(outcomeIn(await attemptOf({ headers: message?.headers ?? {} }))).toMatchObject({
      status: 'sent',
      priority: 'high',
      notBefore: new Date(dueMs).toISOString(),
      expiresAt: new Date(expiresAt).toISOString(),
      attempts: [{ lateMs: 30 }, { lateMs: 0 }],
    });
  });

  it('ends without another attempt when it has expired, with the attempts it had', async () => {
    const headers = { ...headersOfRetry(clock.nowMs()), expiresAt: clock.nowMs() + 999 };
    const settlement = await attemptOf({ headers });
    expect([sends, settlement.message]).toEqual([[], undefined]);
    expect(outcomeIn(settlement)).toMatchObject({
      status: 'failed',
      reason: REASONS.expired,
      attempts: [{}],
    });
  });

  it('ends after the attempt when it would expire before the next', async () => {
    answersWith(FAILED);
    const headers = { run: 'demo', expiresAt: clock.nowMs() + 5_000 };
    const outcome = outcomeIn(await attemptOf({ headers }));
    expect(outcome).toMatchObject({ status: 'failed', reason: REASONS.expired, attempts: [{ attempt: 1 }] });
  });

  it('retries after waits that count from the moment it waited for', async () => {
    const dueMs = clock.nowMs() - 2_000;
    answersWith(FAILED);
    const headers = { run: 'demo', acceptedAt: dueMs - 86_400_000, notBefore: dueMs };
    const { message } = await attemptOf({ headers }, SCHEDULE, { anchor: 'accepted' });
    expect(message).toMatchObject({ routingKey: 'hold.1s', headers: { notBefore: dueMs + 5_000 } });
  });
});

describe('an SMS that people have decided about', () => {
  const CANCELLED: Directives = { ...NO_DIRECTIVES, isCancelled: () => true };
  it('ends without an attempt when it is cancelled, also before it is due', async () => {
    const headers = { run: 'demo', notBefore: clock.nowMs() + 3_600_000 };
    const settlement = await attemptOf({ headers }, SCHEDULE, { directives: CANCELLED });
    expect([sends, settlement.message]).toEqual([[], undefined]);
    expect(outcomeIn(settlement)).toMatchObject({
      status: 'failed',
      reason: REASONS.cancelled,
      attempts: [],
    });
  });

  it('has no retry when it is cancelled during an attempt', async () => {
    let isCancelled = false;
    answers.push(async () => {
      isCancelled = true;
      return FAILED;
    });
    const directives = { ...NO_DIRECTIVES, isCancelled: () => isCancelled };
    const settlement = await attemptOf({}, SCHEDULE, { directives });
    expect(outcomeIn(settlement)).toMatchObject({ reason: REASONS.cancelled, attempts: [{ attempt: 1 }] });
  });

  it('does not wait for its time when it is sent now, and its attempt is not early', async () => {
    const directives = { ...NO_DIRECTIVES, isSentNow: (_: string, attempt: number) => attempt === 2 };
    const headers = headersOfRetry(clock.nowMs() + 3_600_000);
    const outcome = outcomeIn(await attemptOf({ headers }, SCHEDULE, { directives }));
    expect(outcome?.attempts[1]).not.toHaveProperty('lateMs');
    expect(sends.length).toBe(1);
  });
});

describe('a message that cannot be read', () => {
  it('is parked as it was, with why and when, and has its outcome', async () => {
    const body = Buffer.from('{"to":"+15550100001"}');
    const settlement = await attemptOf({ body, headers: { run: 'demo', 'x-death': [], tenant: 'a' } });
    expect(settlement.message).toMatchObject({
      routingKey: 'parked',
      messageId: 'demo-000001',
      type: 'parked',
      body,
      headers: {
        run: 'demo',
        tenant: 'a',
        'parked-reason': 'text is missing: send {"to":"+…","text":"…"}',
        'parked-at': '2026-11-22T10:00:00.000Z',
        'parked-id': 'demo-000001',
      },
    });
    expect(settlement.message?.headers).not.toHaveProperty('x-death');
    expect(outcomeIn(settlement)).toMatchObject({
      smsId: 'demo-000001',
      run: 'demo',
      status: 'parked',
      reason: 'text is missing: send {"to":"+…","text":"…"}',
      attempts: [],
      raw: body.toString('base64'),
    });
    expect(sends).toEqual([]);
    expect(JSON.stringify(log.lines)).not.toContain('5550100001');
  });

  it('without a usable id has the same identity each time it comes', async () => {
    const message = { messageId: 'no/id', headers: { 'x-delivery-count': 1 } };
    const first = outcomeIn(await attemptOf(message));
    await clock.advance(60_000);
    const again = outcomeIn(await attemptOf({ ...message, headers: { 'x-delivery-count': 2 } }));
    expect(first?.smsId).toMatch(/^parked-digest\d+$/);
    expect(again?.smsId).toBe(first?.smsId);
    expect(again?.run).toBe('foreign');
  });
});
