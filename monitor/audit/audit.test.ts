import { describe, expect, it } from 'vitest';
import type { OutcomeStatus } from '../../shared/domain/outcome/outcome.ts';
import {
  announcementKey,
  outcomeObjectId,
  outcomeObjectKey,
  probeObjectId,
} from '../../shared/domain/outcome/outcome-object.ts';
import { NOTHING_OVERDUE, type OverdueCount } from '../../shared/domain/schedule/overdue.ts';
import { smsIdOf } from '../../shared/domain/sms/sms.ts';
import { RedialError, ServerUnavailableError } from '../../shared/errors.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { FullCounterReading, RunCounters } from '../../shared/ports/counter-reader.ts';
import type { QueueReadings } from '../../shared/ports/queue-reader.ts';
import { NOTHING_COUNTED } from '../../tests/kit/nothing-counted.ts';
import { describeVerdict, renderAudit } from '../views/audit-view.ts';
import { type AuditOptions, audit } from './audit.ts';
import type { AuditReport } from './audit-report.ts';

const KEEP_TIME_MS = 86_400_000;
const PREFIXES = { sent: 'success', failed: 'failed', parked: 'parked', known: 'known' };
const STARTED_AT_MS = Date.parse('2026-11-22T10:00:00.000Z');

/** The servers of a small world: what the audit reads from them, and what happens while it reads. */
class World implements Clock {
  readonly objects = new Map<string, string>();
  readonly runs = new Map<string, RunCounters>();
  messages: Record<string, number> = { 'sms.work': 0, 'sms.due': 0, 'sms.journal': 0, 'sms.parked': 0 };
  queueReadings: Partial<QueueReadings> = {};
  counterReading: Partial<FullCounterReading> = {};
  /** Runs whose counters are in the total, and what was forgotten there. */
  readonly summedRuns = new Map<string, RunCounters>();
  readonly forgotten: RunCounters[] = [];
  /** Called before each reading of that kind, with its number from 1. */
  beforeQueues: (reading: number) => void = () => {};
  beforeCounters: (reading: number) => void = () => {};
  beforeList: (prefix: string) => void = () => {};
  beforeGet: (key: string) => void | Promise<void> = () => {};
  /** What is found in the retry queues that are searched. */
  readOverdue: (names: readonly string[]) => Map<string, OverdueCount> = () => new Map();
  /** Expired SMS on their way to the due queue, by queue. */
  deadLettering: Record<string, number> = {};
  queueReadCount = 0;
  counterReadCount = 0;
  #nowMs = STARTED_AT_MS;
  #sequence = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  /** Time passes only when all wait for it. */
  after(delayMs: number, callback: () => void): () => void {
    const immediate = setImmediate(() => {
      this.#nowMs += delayMs;
      callback();
    });
    return () => clearImmediate(immediate);
  }

  /** Puts records into an object of their own, in the order of the calls. */
  store(status: OutcomeStatus, records: readonly object[], openedAtMs = STARTED_AT_MS): string {
    this.#sequence += 1;
    const objectId = outcomeObjectId(openedAtMs, 'r1', this.#sequence);
    const key = outcomeObjectKey(PREFIXES[status], objectId);
    this.objects.set(key, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
    return key;
  }

  announce(run: string, accepted: number, changes: object = {}): void {
    const announcement = {
      run,
      queue: 'sms',
      accepted,
      acceptedUpTo: accepted,
      input: 'generated',
      at: 'now',
    };
    this.objects.set(announcementKey(run, accepted), JSON.stringify({ ...announcement, ...changes }));
  }

  /** Lets Redis count as a recorder would, from numbers. */
  count(run: string, counters: Partial<RunCounters>): void {
    this.runs.set(run, countersWith(counters));
  }

  audit(options: Partial<AuditOptions> = {}): Promise<AuditReport> {
    return audit(
      {
        clock: this,
        counters: { readInFull: async () => this.#readCounters() },
        queues: { read: async () => this.#readQueues() },
        overdue: { read: async (names) => this.readOverdue(names) },
        objects: { get: (key) => this.#get(key), list: (prefix) => this.#list(prefix) },
      },
      { queue: 'sms', prefixes: PREFIXES, keepTimeMs: KEEP_TIME_MS, ...options },
    );
  }

  async #get(key: string): Promise<Buffer | undefined> {
    await this.beforeGet(key);
    const body = this.objects.get(key);
    return body === undefined ? undefined : Buffer.from(body);
  }

  async *#list(prefix: string): AsyncGenerator<string> {
    this.beforeList(prefix);
    yield* [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  #readQueues(): QueueReadings {
    this.queueReadCount += 1;
    this.beforeQueues(this.queueReadCount);
    const queues = Object.entries(this.messages).map(([name, messages]) => ({
      name,
      ready: messages,
      messages,
      deadLettering: this.deadLettering[name] ?? 0,
    }));
    return { queues, isComplete: true, readyAgeMs: 0, ...this.queueReadings };
  }

  #readCounters(): FullCounterReading {
    this.counterReadCount += 1;
    this.beforeCounters(this.counterReadCount);
    return {
      areValid: true,
      runs: new Map(this.runs),
      summedRuns: new Map(this.summedRuns),
      done: {
        counters: sumOf([...this.summedRuns.values(), ...this.forgotten]),
        forgottenCount: this.forgotten.length,
        withInputConflict: [],
      },
      lastTenSeconds: new Map(),
      lastMinute: new Map(),
      recordingTroubles: [],
      livingSenders: 1,
      silentSenders: 0,
      seenSenders: [],
      livingRecorders: 1,
      memory: { usedBytes: 1, maxBytes: 0, policy: 'noeviction' },
      ...{ conflictingIds: [], throttled: 0, pausedUntilMs: undefined },
      ...this.counterReading,
    };
  }
}

function countersWith(counters: Partial<RunCounters>): RunCounters {
  const { sent = 0, failed = 0, parked = 0 } = counters;
  return {
    ...NOTHING_COUNTED,
    input: 'generated',
    met: sent + failed + parked,
    attempts: sent + failed,
    attemptsFailed: failed,
    ...counters,
  };
}

/** What the total holds of runs that are done. */
function sumOf(runs: readonly RunCounters[]): RunCounters {
  const sum = (
    field: 'met' | OutcomeStatus | 'attempts' | 'attemptsFailed' | 'repeatedSends' | 'idConflicts',
  ) => runs.reduce((total, counters) => total + counters[field], 0);
  const outcomes = { sent: sum('sent'), failed: sum('failed'), parked: sum('parked'), known: sum('known') };
  const attempts = { attempts: sum('attempts'), attemptsFailed: sum('attemptsFailed') };
  const oddities = { repeatedSends: sum('repeatedSends'), idConflicts: sum('idConflicts') };
  const announced = outcomes.sent + outcomes.failed + outcomes.parked + outcomes.known;
  return countersWith({ ...outcomes, ...attempts, ...oddities, announced, met: sum('met') });
}

function outcome(smsNumber: number, status: OutcomeStatus = 'sent', changes: object = {}) {
  const attempt = { attempt: 1, startedAt: '2026-11-22T10:00:00.000Z', tookMs: 5, result: status };
  return {
    smsId: smsIdOf('demo', smsNumber),
    run: 'demo',
    queue: 'sms',
    to: '+15550100001',
    text: 'hello',
    status,
    acceptedAt: '2026-11-22T10:00:00.000Z',
    finishedAt: '2026-11-22T10:00:01.000Z',
    attempts: status === 'parked' ? [] : [attempt],
    ...changes,
  };
}

function numbers(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** 10 SMS accepted: 8 sent, 1 failed, 1 parked, and everything agrees. */
function finishedWorld(): World {
  const world = new World();
  world.announce('demo', 10);
  world.store(
    'sent',
    numbers(1, 8).map((each) => outcome(each)),
  );
  world.store('failed', [outcome(9, 'failed')]);
  world.store('parked', [outcome(10, 'parked')]);
  world.count('demo', { announced: 10, sent: 8, failed: 1, parked: 1 });
  return world;
}

describe('the audit of a finished run', () => {
  it('balances at once, and its JSON begins as scripts rely on', async () => {
    const world = finishedWorld();
    const report = await world.audit();
    expect(JSON.stringify(report)).toMatch(
      /^\{"accepted":10,"sent":8,"failed":1,"parked":1,"known":0,"inProgress":0,"missing":0,"duplicateRecords":0,"countersAgree":true,"balanced":true,/,
    );
    expect(report.problems).toEqual([]);
    expect({ reads: world.queueReadCount, nowMs: world.nowMs() }).toEqual({ reads: 1, nowMs: STARTED_AT_MS });
  });

  it('needs no second look at what old numbers of the queues say', async () => {
    const world = finishedWorld();
    world.queueReadings = {
      queues: [
        { name: 'sms.work', ready: 0, messages: 7 },
        { name: 'sms.retry.1.5s', ready: 0, messages: 40, deadLettering: 40 },
      ],
    };
    expect(await world.audit()).toMatchObject({ missing: 0, balanced: true, overdue: 0, problems: [] });
    expect(world.nowMs()).toBe(STARTED_AT_MS);
  });

  it('believes numbers that may be old as they are: something may wait', async () => {
    const world = finishedWorld();
    const queues = [{ name: 'sms.work', ready: 0, messages: 7 }];
    world.queueReadings = { queues, readyAgeMs: 5_000 };
    expect(await world.audit()).toMatchObject({ missing: null, balanced: true });
  });

  it('says in one sentence that it balances', async () => {
    const report = await finishedWorld().audit();
    expect(renderAudit(report, 'sms', undefined).split('\n').at(-1)).toBe(
      'The books balance: 10 accepted SMS, each with exactly one outcome.',
    );
  });

  it('reads more than a thousand objects', async () => {
    const world = new World();
    for (const smsNumber of numbers(1, 2_500)) world.store('sent', [outcome(smsNumber)]);
    world.announce('demo', 2_500);
    world.count('demo', { sent: 2_500 });
    expect(await world.audit()).toMatchObject({ accepted: 2_500, sent: 2_500, missing: 0, balanced: true });
  });

  it('takes the largest announcement, of its own queue', async () => {
    const world = finishedWorld();
    world.announce('demo', 4);
    world.announce('demo', 700, { queue: 'other' });
    expect(await world.audit()).toMatchObject({ accepted: 10, balanced: true });
  });

  it('leaves out the records of other queues in the same bucket, and other runs with --run', async () => {
    const world = finishedWorld();
    world.store('sent', [outcome(11, 'sent', { queue: 'other' })]);
    world.store('sent', [outcome(12, 'sent', { smsId: 'b-000001', run: 'b' })]);
    world.count('b', { sent: 1, met: 3 });
    const report = await world.audit({ run: 'demo' });
    expect(report).toMatchObject({ accepted: 10, missing: 0, balanced: true });
    expect(report.runs.map(({ run }) => run)).toEqual(['demo']);
  });

  it('counts a second record of an SMS as a duplicate, and believes the first by object id', async () => {
    const world = finishedWorld();
    world.store('failed', [outcome(1, 'failed')], STARTED_AT_MS + 1_000);
    world.store('failed', [outcome(9, 'failed')], STARTED_AT_MS + 2_000);
    world.beforeGet = async (key) => {
      // The first objects come last: the order of arrival must not matter.
      if (key.includes('-00000')) for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    };
    expect(await world.audit()).toMatchObject({ sent: 8, failed: 1, duplicateRecords: 2, balanced: true });
  });

  it('says that there is no bucket, and that nothing was accepted', async () => {
    const world = new World();
    world.beforeList = () => {
      throw new RedialError('NO_BUCKET', 'no bucket');
    };
    const report = await world.audit();
    expect(report).toMatchObject({ accepted: 0, missing: 0, balanced: true });
    expect(report.problems).toEqual([expect.stringContaining('bucket does not exist')]);
  });

  it('is an error, not "0 outcomes", where S3 refuses us', async () => {
    const world = finishedWorld();
    world.beforeList = () => {
      throw new ServerUnavailableError('access refused', { isRefusal: true });
    };
    await expect(world.audit()).rejects.toMatchObject({ code: 'SERVER_REFUSED' });
  });

  it('repeats what S3 did not answer, in the middle of a list too', async () => {
    const world = finishedWorld();
    let failures = 0;
    world.beforeGet = () => {
      failures += 1;
      if (failures % 2 === 1) throw new ServerUnavailableError('503', { isRefusal: false });
    };
    expect(await world.audit()).toMatchObject({
      sent: 8,
      failed: 1,
      parked: 1,
      duplicateRecords: 0,
      balanced: true,
    });
    expect(failures).toBeGreaterThan(4);
  });
});

describe('the audit of work in progress', () => {
  it.each(['sms.work', 'sms.due', 'sms.journal', 'sms.retry.3.2m', 'sms.high', 'sms.low', 'sms.hold.4s'])(
    'balances, and misses nothing, while something waits in %s',
    async (name) => {
      const world = finishedWorld();
      world.announce('demo', 12);
      world.messages = { ...world.messages, [name]: 2 };
      const report = await world.audit();
      expect(report).toMatchObject({
        accepted: 12,
        inProgress: 2,
        missing: null,
        balanced: true,
        missingIds: [],
      });
      expect(renderAudit(report, 'sms', undefined)).toMatch(
        /so far: of 12 accepted SMS, 2 have no outcome yet\.$/,
      );
    },
  );

  it('does not say that all is done while the queues hold more than is known', async () => {
    const world = finishedWorld();
    world.messages = { 'sms.journal': 1 };
    const report = await world.audit();
    expect(report).toMatchObject({ inProgress: 0, missing: null, balanced: true });
    expect(renderAudit(report, 'sms', undefined)).toMatch(/so far: .* but the queues are not empty\.$/);
  });

  it('believes no emptiness that an older statistic has told', async () => {
    const world = finishedWorld();
    world.announce('demo', 12);
    world.beforeQueues = (reading) => {
      if (reading === 2) world.messages = { 'sms.retry.1.5s': 2 };
    };
    expect(await world.audit()).toMatchObject({ missing: null, balanced: true });
  });

  it('reads S3 again when an outcome came after it had been read', async () => {
    const world = finishedWorld();
    world.announce('demo', 11);
    world.count('demo', { announced: 11, sent: 8, failed: 1, parked: 1 });
    world.beforeQueues = (reading) => {
      if (reading !== 2) return;
      world.store('sent', [outcome(11)]);
      world.count('demo', { announced: 11, sent: 9, failed: 1, parked: 1 });
    };
    expect(await world.audit()).toMatchObject({ sent: 9, inProgress: 0, missing: 0, balanced: true });
  });

  it('gives no number of missing SMS while outcomes keep coming', async () => {
    const world = finishedWorld();
    world.announce('demo', 100);
    world.beforeQueues = (reading) => {
      world.store('sent', [outcome(10 + reading)]);
      world.count('demo', { announced: 100, sent: 8 + reading, failed: 1, parked: 1 });
    };
    const report = await world.audit();
    expect(report.missing).toBe(null);
    expect(report.problems).toEqual([expect.stringContaining('outcomes keep arriving')]);
  });

  it('says that no sender runs', async () => {
    const world = finishedWorld();
    world.messages = { 'sms.work': 1 };
    world.counterReading = { livingSenders: 0 };
    expect((await world.audit()).problems).toEqual([expect.stringContaining('no sender is running')]);
  });

  it('cannot tell missing ones without the management API, and says so', async () => {
    const world = finishedWorld();
    world.announce('demo', 12);
    world.queueReadings = { isComplete: false, problem: 'HTTP 503' };
    const report = await world.audit();
    expect(report).toMatchObject({ inProgress: 2, missing: null, balanced: true });
    expect(report.problems).toEqual([
      expect.stringContaining('HTTP 503'),
      expect.stringContaining('cannot be said without the management API'),
    ]);
  });

  it('does not balance where RabbitMQ does not answer and something is open', async () => {
    const world = finishedWorld();
    world.announce('demo', 12);
    world.beforeQueues = () => {
      throw new ServerUnavailableError('connection refused', { isRefusal: false });
    };
    const report = await world.audit();
    expect(report).toMatchObject({ missing: null, balanced: false });
    expect(report.problems).toEqual(['RabbitMQ does not answer: connection refused']);
  });
});

describe('missing SMS', () => {
  it('are named once the queues stay empty, and the books do not balance', async () => {
    const world = finishedWorld();
    world.announce('demo', 12);
    const report = await world.audit();
    expect(report).toMatchObject({
      accepted: 12,
      inProgress: 2,
      missing: 2,
      missingIds: ['demo-000011', 'demo-000012'],
      countersAgree: true,
      balanced: false,
    });
    expect(report.problems).toEqual(['2 SMS are missing: demo-000011, demo-000012']);
    expect(world.nowMs() - STARTED_AT_MS).toBe(6_000);
    expect(renderAudit(report, 'sms', undefined)).toMatch(/do not balance: 2 SMS are missing\.$/);
  });

  it('are not hidden by garbage that was parked under their run', async () => {
    const world = new World();
    world.counterReading = { areValid: false };
    world.announce('demo', 10);
    world.store(
      'sent',
      numbers(1, 9).map((each) => outcome(each)),
    );
    world.store('parked', [outcome(0, 'parked', { smsId: 'garbage' })]);
    expect(await world.audit()).toMatchObject({ missing: 1, missingIds: ['demo-000010'], inProgress: 1 });
  });

  it('are told by number where ids were given by an input file', async () => {
    const world = new World();
    world.announce('demo', 3, { input: 'file:abc' });
    world.store('sent', [outcome(0, 'sent', { smsId: 'order:17' })]);
    world.count('demo', { sent: 1 });
    expect(await world.audit()).toMatchObject({ missing: 2, missingIds: [], balanced: false });
  });

  it('are known from S3 and the queues alone when Redis was emptied', async () => {
    const world = finishedWorld();
    world.announce('demo', 12);
    world.counterReading = { areValid: false, runs: new Map() };
    const report = await world.audit();
    expect(report).toMatchObject({
      accepted: 12,
      sent: 8,
      missing: 2,
      countersAgree: false,
      repeatedSends: null,
    });
    expect(report.problems[0]).toContain('the counters are not valid');
  });

  it('are also those that only Redis knows of', async () => {
    const world = finishedWorld();
    world.count('demo', { announced: 10, met: 11, sent: 8, failed: 1, parked: 1 });
    expect(await world.audit()).toMatchObject({ accepted: 11, missing: 1 });
  });
});

describe('runs that are done', () => {
  /** finishedWorld, and 5 SMS of a run that Redis has forgotten. */
  function worldAfterMay(): World {
    const world = finishedWorld();
    world.announce('may', 5);
    world.store(
      'sent',
      numbers(1, 5).map((each) => outcome(each, 'sent', { smsId: smsIdOf('may', each), run: 'may' })),
    );
    world.forgotten.push(countersWith({ sent: 5 }));
    return world;
  }

  it('are compared one by one while none is forgotten', async () => {
    const world = finishedWorld();
    world.runs.clear();
    world.summedRuns.set(
      'demo',
      countersWith({ announced: 10, sent: 8, failed: 1, parked: 1, repeatedSends: 2 }),
    );
    expect(await world.audit()).toMatchObject({
      accepted: 10,
      repeatedSends: 2,
      balanced: true,
      problems: [],
    });
    world.summedRuns.set('demo', countersWith({ announced: 10, sent: 7, failed: 1, parked: 1 }));
    expect(await world.audit()).toMatchObject({
      countersAgree: false,
      problems: [
        'run "demo": Redis counts 7 sent, S3 holds 8',
        'run "demo": Redis counts 8 attempts, S3 holds 9',
      ],
    });
  });

  it('agree once Redis has forgotten their names, in sum and with --run', async () => {
    const world = worldAfterMay();
    const books = { missing: 0, countersAgree: true, balanced: true, problems: [] };
    expect(await world.audit()).toMatchObject({ accepted: 15, sent: 13, ...books });
    expect(await world.audit({ run: 'may' })).toMatchObject({ accepted: 5, sent: 5, ...books });
    expect(await world.audit({ run: 'demo' })).toMatchObject({ accepted: 10, ...books });
  });

  it('disagree in sum where Redis has forgotten what S3 holds, which one sentence says', async () => {
    const world = worldAfterMay();
    world.forgotten.push(countersWith({ sent: 1 }));
    const problems = [
      'all runs together: Redis counts 14 sent, S3 holds 13',
      'all runs together: Redis counts 15 attempts, S3 holds 14',
    ];
    expect(await world.audit()).toMatchObject({ countersAgree: false, balanced: false, problems });
    expect(await world.audit({ run: 'may' })).toMatchObject({
      countersAgree: false,
      problems: [problems[0]],
    });
    // Exactly what S3 holds is counted of this one.
    expect(await world.audit({ run: 'demo' })).toMatchObject({ countersAgree: true, problems: [] });
  });

  it('disagree by name where the run is not forgotten', async () => {
    const world = worldAfterMay();
    world.count('demo', { announced: 10, sent: 7, failed: 1, parked: 1, attempts: 9 });
    expect((await world.audit()).problems).toEqual([
      'run "demo": Redis counts 7 sent, S3 holds 8',
      'all runs together: Redis counts 12 sent, S3 holds 13',
    ]);
    world.count('demo', { announced: 10, sent: 9, failed: 1, parked: 1, attempts: 9 });
    expect((await world.audit({ run: 'demo' })).problems).toContain(
      'run "demo": Redis counts 9 sent, S3 holds 8',
    );
  });

  it('and begin again after they were forgotten have in progress what is counted anew', async () => {
    const world = worldAfterMay();
    world.announce('may', 3);
    world.count('may', { announced: 3, met: 2, sent: 1 });
    world.store('sent', [
      outcome(1, 'sent', { smsId: smsIdOf('may', 1), run: 'may', finishedAt: '2026-11-25' }),
    ]);
    world.messages = { 'sms.work': 2 };
    expect(await world.audit()).toMatchObject({
      accepted: 18,
      sent: 14,
      inProgress: 2,
      balanced: true,
      problems: [],
    });
    expect(await world.audit({ run: 'may' })).toMatchObject({ accepted: 8, inProgress: 2, balanced: true });
  });
});

describe('the counters', () => {
  it('agree as soon as a stored object is counted too', async () => {
    const world = finishedWorld();
    world.count('demo', { sent: 7, failed: 1, parked: 1 });
    world.beforeCounters = (reading) => {
      if (reading === 4) world.count('demo', { sent: 8, failed: 1, parked: 1 });
    };
    expect(await world.audit()).toMatchObject({ countersAgree: true, balanced: true });
    expect(world.nowMs() - STARTED_AT_MS).toBe(2_000);
  });

  it.each([
    ['sent too few', { sent: 7 }, 'run "demo": Redis counts 7 sent, S3 holds 8'],
    ['sent too many', { sent: 9 }, 'run "demo": Redis counts 9 sent, S3 holds 8'],
    ['attempts', { attempts: 10 }, 'run "demo": Redis counts 10 attempts, S3 holds 9'],
    ['failed attempts', { attemptsFailed: 2 }, 'run "demo": Redis counts 2 failed attempts, S3 holds 1'],
  ])('disagree: %s', async (_, changes, problem) => {
    const world = finishedWorld();
    const agreeing = {
      announced: 10,
      met: 10,
      sent: 8,
      failed: 1,
      parked: 1,
      attempts: 9,
      attemptsFailed: 1,
    };
    world.count('demo', { ...agreeing, ...changes });
    const report = await world.audit();
    expect(report).toMatchObject({ countersAgree: false, balanced: false });
    expect(report.problems).toContain(problem);
  });

  it('agree about an attempt whose result only a newer version knows: not sent is failed', async () => {
    const world = finishedWorld();
    const [given] = outcome(11).attempts;
    const attempts = [
      { ...given, result: 'unknown' },
      { ...given, attempt: 2 },
    ];
    world.announce('demo', 11);
    world.store('sent', [outcome(11, 'sent', { attempts })]);
    world.count('demo', { announced: 11, sent: 9, failed: 1, parked: 1, attempts: 11, attemptsFailed: 2 });
    expect(await world.audit()).toMatchObject({ countersAgree: true, balanced: true });
  });

  it('may be ahead in attempts while SMS are in progress', async () => {
    const world = finishedWorld();
    world.announce('demo', 12);
    world.messages = { 'sms.retry.1.5s': 2 };
    world.count('demo', { sent: 8, failed: 1, parked: 1, attempts: 11, attemptsFailed: 3 });
    expect(await world.audit()).toMatchObject({ countersAgree: true, balanced: true });
  });

  it('may move on while S3 is read', async () => {
    const world = finishedWorld();
    world.announce('demo', 20);
    world.messages = { 'sms.work': 8 };
    world.beforeCounters = (reading) => {
      world.count('demo', { sent: reading === 1 ? 6 : 12, failed: 1, parked: 1 });
    };
    expect(await world.audit()).toMatchObject({ sent: 8, countersAgree: true, balanced: true });
  });

  it('are not believed while they are being rebuilt', async () => {
    const world = finishedWorld();
    world.counterReading = { areValid: false };
    world.count('demo', { announced: 99, met: 99, sent: 3 });
    const report = await world.audit();
    expect(report).toMatchObject({ accepted: 10, missing: 0, countersAgree: false, balanced: false });
    expect(report.problems).toEqual([expect.stringContaining('the counters are not valid')]);
  });

  it('do not agree while Redis does not answer', async () => {
    const world = finishedWorld();
    world.beforeCounters = () => {
      throw new ServerUnavailableError('connection refused', { isRefusal: false });
    };
    const report = await world.audit();
    expect(report).toMatchObject({ accepted: 10, missing: 0, countersAgree: false, balanced: false });
    expect(report.problems).toEqual([
      'Redis does not answer, so nothing is compared with it: connection refused',
    ]);
  });
});

describe('an id that comes again', () => {
  const at = (ms: number) => new Date(Date.UTC(2026, 10, 22) + ms).toISOString();

  it('after KEEP_TIME is another SMS, and within it one that is known', async () => {
    const world = new World();
    const once = numbers(1, 5).map((each) => outcome(each, 'sent', { run: 'monday', finishedAt: at(0) }));
    const again = numbers(1, 5).map((each) =>
      outcome(each, 'sent', { run: 'tuesday', finishedAt: at(KEEP_TIME_MS + 1_000) }),
    );
    const known = numbers(1, 3).map((each) =>
      outcome(each, 'known', { run: 'again', finishedAt: at(KEEP_TIME_MS + 2_000) }),
    );
    world.store('sent', once);
    world.store('sent', again);
    world.store('known', [...known, ...known]);
    world.count('monday', { announced: 5, sent: 5, input: 'file:a' });
    world.count('tuesday', { announced: 5, sent: 5, input: 'file:b' });
    world.count('again', { announced: 3, met: 3, known: 3, attempts: 0, input: 'file:c' });
    const report = await world.audit();
    expect(report).toMatchObject({
      ...{ accepted: 13, sent: 10, known: 3, inProgress: 0, missing: 0, duplicateRecords: 3 },
      ...{ countersAgree: true, balanced: true },
    });
  });

  it('with another content leaves books that do not balance, and its id is named', async () => {
    const world = finishedWorld();
    world.count('demo', { announced: 10, sent: 8, failed: 1, parked: 1, idConflicts: 1 });
    world.counterReading = { conflictingIds: ['demo-000003'] };
    const report = await world.audit();
    expect(report.balanced).toBe(false);
    expect(describeVerdict(report)).toContain(
      '1 SMS was not sent because another one has the same id (demo-000003)',
    );
  });
});

describe('the audit of one run', () => {
  it('is red where nobody knows the run: a typo in a gate must not be green', async () => {
    const world = finishedWorld();
    const report = await world.audit({ run: 'dmeo' });
    expect(report).toMatchObject({ accepted: 0, balanced: false, unknownRun: 'dmeo' });
    const said = renderAudit(report, 'sms', 'dmeo').split('\n');
    expect(said.at(-1)).toBe('Nothing was audited: no run "dmeo" is known.');
    expect(report.problems).toEqual([expect.stringContaining('know a run "dmeo": is the name right')]);
    expect(await world.audit({ run: 'demo' })).toMatchObject({ balanced: true, problems: [] });
  });

  it.each([
    ['an announcement', (world: World) => world.announce('new', 0)],
    ['a counter', (world: World) => world.count('new', { met: 0 })],
    ['the counters of a run that is done', (world: World) => world.summedRuns.set('new', countersWith({}))],
  ])('is not red where all that is known of the run is %s', async (_, know) => {
    const world = finishedWorld();
    know(world);
    expect(await world.audit({ run: 'new' })).toMatchObject({ accepted: 0, balanced: true, problems: [] });
  });

  it('names the ids in conflict of that run, and of no other', async () => {
    const world = finishedWorld();
    world.store('sent', [
      outcome(11, 'sent', { smsId: 'order-7', run: 'other' }),
      outcome(12, 'sent', { smsId: 'order-8', run: 'demo' }),
      // In a run whose name it has not, the id was met first.
      outcome(12, 'sent', { smsId: 'demo-000099', run: 'other' }),
    ]);
    world.announce('demo', 11);
    world.count('demo', { announced: 11, sent: 9, failed: 1, parked: 1, idConflicts: 3 });
    world.count('other', { sent: 2, idConflicts: 2 });
    const open = ['demo-000011', 'other-000001'];
    world.counterReading = { conflictingIds: ['demo-000003', 'demo-000099', 'order-7', 'order-8', ...open] };
    expect((await world.audit({ run: 'demo' })).conflictingIds).toEqual([
      'demo-000003',
      'order-8',
      'demo-000011',
    ]);
    expect((await world.audit({ run: 'other' })).conflictingIds).toEqual([
      'demo-000099',
      'order-7',
      'other-000001',
    ]);
    expect((await world.audit()).conflictingIds).toHaveLength(6);
  });

  it('tells no problem of what others have in the queues, once it has all its outcomes', async () => {
    const world = finishedWorld();
    world.announce('other', 5);
    world.count('other', { announced: 5 });
    world.messages = { 'sms.work': 1, 'sms.retry.1.5s': 4, 'sms.parked': 7 };
    const firstDueAtMs = STARTED_AT_MS - 600_000;
    world.readOverdue = () =>
      new Map([['sms.retry.1.5s', { ...NOTHING_OVERDUE, overdueCount: 4, firstDueAtMs }]]);
    world.counterReading = { livingSenders: 0 };
    expect(await world.audit({ run: 'demo' })).toMatchObject({
      ...{ overdue: 0, overdueSince: null, balanced: true, problems: [] },
    });
    expect((await world.audit({ run: 'other' })).problems).toHaveLength(2);
    expect((await world.audit()).problems).toHaveLength(3);
  });
});

describe('parked messages', () => {
  it('are compared with their records: more in the queue is told, less is not', async () => {
    const world = finishedWorld();
    world.messages['sms.parked'] = 1;
    expect((await world.audit()).problems).toEqual([]);
    world.messages['sms.parked'] = 3;
    const { problems, balanced } = await world.audit();
    expect(problems).toEqual([
      expect.stringContaining('2 messages in sms.parked beyond the 1 parked records'),
    ]);
    expect(balanced).toBe(true);
  });
});

describe('overdue SMS', () => {
  const DUE_AT_MS = STARTED_AT_MS - 600_000;
  const found = (changes: Partial<OverdueCount>): OverdueCount => ({ ...NOTHING_OVERDUE, ...changes });

  function waitingWorld(): World {
    const world = finishedWorld();
    world.announce('demo', 15);
    world.messages = { 'sms.retry.1.5s': 5, 'sms.retry.9.1h': 0 };
    return world;
  }

  it('in a retry queue are counted over all queues that hold something, with the time of the first', async () => {
    const world = waitingWorld();
    world.messages['sms.retry.2.30s'] = 1;
    let searched: readonly string[] = [];
    world.readOverdue = (names) => {
      searched = names;
      return new Map([
        ['sms.retry.1.5s', found({ overdueCount: 2, firstDueAtMs: DUE_AT_MS + 1 })],
        ['sms.retry.2.30s', found({ overdueCount: 1, firstDueAtMs: DUE_AT_MS })],
      ]);
    };
    const report = await world.audit();
    expect(searched).toEqual(['sms.retry.1.5s', 'sms.retry.2.30s']);
    expect(report).toMatchObject({
      ...{ overdue: 3, overdueSince: '2026-11-22T09:50:00.000Z' },
      ...{ missing: null, inProgress: 5, balanced: true },
    });
    expect(report.problems).toEqual([
      '3 SMS are past their time in a retry or hold queue, the first since 2026-11-22T09:50:00.000Z: ' +
        '"npx producer requeue-overdue" moves them on',
    ]);
  });

  it('are told as at least so many where the search was ended, beside messages without a time', async () => {
    const world = waitingWorld();
    const count = { overdueCount: 10_000, firstDueAtMs: DUE_AT_MS, isWhole: false, unknownCount: 1 };
    world.readOverdue = () => new Map([['sms.retry.1.5s', count]]);
    const { overdue, problems } = await world.audit();
    expect(overdue).toBe(10_000);
    expect(problems[0]).toMatch(/^at least 10,000 SMS are past their time/);
    expect(problems[1]).toMatch(/^1 message in a retry or hold queue without a time in the header notBefore/);
  });

  it('are none where nothing waits for a retry, and nothing is searched', async () => {
    const world = finishedWorld();
    world.readOverdue = () => expect.fail('searched');
    expect(await world.audit()).toMatchObject({ overdue: 0, overdueSince: null, missing: 0 });
  });

  it('that RabbitMQ cannot hand over are seen where their number does not fall while the grace passes', async () => {
    const world = waitingWorld();
    // More expire meanwhile: those have not been seen for long.
    world.beforeQueues = (reading) => {
      world.deadLettering = { 'sms.retry.1.5s': Math.min(reading + 3, 5), 'sms.retry.9.1h': 0 };
    };
    const report = await world.audit();
    expect(report).toMatchObject({
      ...{ overdue: 4, overdueSince: '2026-11-22T10:00:00.000Z' },
      ...{ missing: null, balanced: true },
    });
    expect(report.problems).toEqual([
      '4 SMS have expired in a retry or hold queue, and for at least 30 s RabbitMQ could not hand any to "sms.due": is that ' +
        'queue, or its binding, gone? "npx producer requeue-overdue" declares both again',
    ]);
  });

  it('are none where that number falls: RabbitMQ is handing them over', async () => {
    const world = waitingWorld();
    world.beforeQueues = (reading) => {
      world.deadLettering = { 'sms.retry.1.5s': [700, 800, 650, 900][reading - 1] ?? 900 };
    };
    expect(await world.audit()).toMatchObject({ overdue: 0, overdueSince: null, problems: [] });
    expect(world.queueReadCount).toBe(3);
  });

  it('of both kinds are added', async () => {
    const world = waitingWorld();
    world.deadLettering = { 'sms.retry.1.5s': 2 };
    world.readOverdue = () =>
      new Map([['sms.retry.1.5s', found({ overdueCount: 1, firstDueAtMs: DUE_AT_MS })]]);
    expect(await world.audit()).toMatchObject({ overdue: 3, overdueSince: '2026-11-22T09:50:00.000Z' });
  });

  it('without the management API are told where some are found, else unknown', async () => {
    const world = waitingWorld();
    world.queueReadings = { isComplete: false, problem: 'connection refused' };
    expect(await world.audit()).toMatchObject({ overdue: null, overdueSince: null });
    world.readOverdue = () =>
      new Map([['sms.retry.1.5s', found({ overdueCount: 1, firstDueAtMs: DUE_AT_MS })]]);
    expect(await world.audit()).toMatchObject({ overdue: 1, overdueSince: '2026-11-22T09:50:00.000Z' });
  });

  it('are unknown, for a reason, where RabbitMQ does not let us look', async () => {
    const world = waitingWorld();
    world.readOverdue = () => {
      throw new ServerUnavailableError('access refused', { isRefusal: true });
    };
    expect(await world.audit()).toMatchObject({
      ...{ overdue: null, overdueSince: null, balanced: true },
      problems: ['whether SMS are overdue cannot be said: access refused'],
    });
    world.beforeQueues = () => {
      throw new ServerUnavailableError('RabbitMQ is gone', { isRefusal: false });
    };
    expect(await world.audit()).toMatchObject({ overdue: null, overdueSince: null });
  });
});

describe('the audit for people', () => {
  it('shows aligned numbers, each run where there are several, and the problems', async () => {
    const world = finishedWorld();
    world.announce('b', 1_200);
    world.messages = { 'sms.work': 1_200 };
    world.counterReading = { livingSenders: 0 };
    expect(renderAudit(await world.audit(), 'sms', undefined)).toBe(
      [
        'Audit of queue "sms"',
        '  accepted              1,210',
        '  sent                      8',
        '  failed                    1',
        '  parked                    1',
        '  known (came again)        0',
        '  in progress           1,200',
        '  overdue                   0',
        '  missing             unknown',
        '  duplicate records         0',
        '  repeated sends            0',
        '  id conflicts              0',
        '  unreadable objects        0',
        '  counters agree          yes',
        '  run b     1,200 accepted = 0 sent + 0 failed + 0 parked + 0 known + 1,200 in progress',
        '  run demo  10 accepted = 8 sent + 1 failed + 1 parked + 0 known + 0 in progress',
        '  problem: no sender is running: start one with "npx sender"',
        'The books balance so far: of 1,210 accepted SMS, 1,200 have no outcome yet.',
      ].join('\n'),
    );
  });
});

describe('what others wrote', () => {
  it('is shown to people with its control characters written out, on the line where it belongs', async () => {
    const world = finishedWorld();
    put(world, 'success/\u001b[2J\nThe books balance.\u202e', 'hello');
    const text = renderAudit(await world.audit(), 'sms', undefined);
    expect(text).toContain('success/\\u001b[2J\\u000aThe books balance.\\u202e');
    expect(text).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
  });
});

describe('objects that cannot be read', () => {
  const broken: [string, (world: World) => string][] = [
    ['a truncated object', (world) => cut(world, world.store('sent', [outcome(11), outcome(12)]), 20)],
    ['an empty object', (world) => cut(world, world.store('sent', [outcome(11)]), Number.POSITIVE_INFINITY)],
    ['a foreign object', (world) => put(world, 'success/README.txt', 'hello')],
    [
      'our name in a foreign place',
      (world) =>
        put(
          world,
          'failed/20261122T100000000Z-r1-000001.ndjson',
          `${JSON.stringify(outcome(11, 'failed'))}\n`,
        ),
    ],
    ['a record that is none', (world) => world.store('sent', [{ smsId: 'demo-000011' }])],
    ['a record under the wrong prefix', (world) => world.store('failed', [outcome(11)])],
    ['an announcement that is none', (world) => put(world, 'runs/demo/000000000099.json', '{"run":"demo"')],
    ['a foreign announcement', (world) => put(world, 'runs/notes.txt', '')],
  ];
  it('are not those by which a recorder tries whether S3 takes anything', async () => {
    const world = finishedWorld();
    const objectId = probeObjectId(Date.UTC(2026, 10, 22, 10), 'r1');
    for (const prefix of ['success', 'failed']) put(world, outcomeObjectKey(prefix, objectId), '');
    expect(await world.audit()).toMatchObject({ unreadableCount: 0, balanced: true });
  });

  it.each(broken)('%s is named and counted, and the books do not balance', async (_, breakIt) => {
    const world = finishedWorld();
    const key = breakIt(world);
    const report = await world.audit();
    expect(report).toMatchObject({ unreadableObjects: [key], unreadableCount: 1, balanced: false });
    expect(report.problems.join()).toContain(`1 object in S3 cannot be read`);
    expect(report.accepted).toBeLessThan(99);
  });

  it('still give the lines that can be read', async () => {
    const world = finishedWorld();
    world.announce('demo', 12);
    cut(world, world.store('sent', [outcome(11), outcome(12)]), 20);
    world.count('demo', { sent: 9, failed: 1, parked: 1 });
    expect(await world.audit()).toMatchObject({ sent: 9, missing: 1, missingIds: ['demo-000012'] });
  });
});

function put(world: World, key: string, body: string): string {
  world.objects.set(key, body);
  return key;
}

function cut(world: World, key: string, characters: number): string {
  const body = world.objects.get(key) ?? '';
  return put(world, key, body.slice(0, Math.max(body.length - characters, 0)));
}
