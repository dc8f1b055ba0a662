/** What Redis needs for an SMS that has its outcome: bytes that stay for KEEP_TIME, and CPU to get there. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPrivateRedis } from '../../scripts/servers/private/private-redis.ts';
import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import { RedisCounterStore } from '../../shared/adapters/redis/counter-store.ts';
import type { AttemptRecord } from '../../shared/domain/outcome/attempt.ts';
import { outcomeObjectId } from '../../shared/domain/outcome/outcome-object.ts';
import { FOREIGN_RUN, smsIdOf } from '../../shared/domain/sms/sms.ts';
import type { CounterEntry } from '../../shared/ports/counter-store.ts';
import { RecordedLog } from '../kit/recorded-log.ts';

interface Load {
  readonly title: string;
  readonly run: string;
  readonly attempts: number;
  readonly idOf: (smsNumber: number) => string;
}

/** Of one SMS. */
export interface RedisNeed {
  readonly title: string;
  readonly bytes: number;
  readonly valueBytes: number;
  readonly recordMicroseconds: number;
  readonly settleMicroseconds: number;
}

const QUEUE = 'sms';
const RECORDER = '0123456789';
const KEEP_TIME_MS = 24 * 3_600_000;
const RECORDS_PER_OBJECT = 5_000;
const ENTRIES_PER_CALL = 1_000;
const SHORT_RUN = 'demo';
const DEFAULT_RUN = 'start-20261122-101530-ab12cd';

const LOADS: readonly Load[] = [
  ...[1, 2, 4].map((attempts) => loadOf(SHORT_RUN, attempts)),
  ...[1, 2, 4].map((attempts) => loadOf(DEFAULT_RUN, attempts)),
  {
    title: `run ${FOREIGN_RUN}, ids are UUIDs, 1 attempt`,
    run: FOREIGN_RUN,
    attempts: 1,
    idOf: (smsNumber) => `6f1c2a3e-9d4b-4c5a-8e7f-${String(smsNumber).padStart(12, '0')}`,
  },
];

/** One load after the other, each in a Redis of its own that was empty. */
export async function* measureRedisNeeds(smsCount: number, only: string): AsyncGenerator<RedisNeed> {
  for (const load of LOADS) {
    if (load.title.includes(only)) yield await measureIn(load, smsCount);
  }
}

function loadOf(run: string, attempts: number): Load {
  const title = `run ${run}, ${attempts} attempt${attempts === 1 ? '' : 's'}`;
  return { title, run, attempts, idOf: (smsNumber) => smsIdOf(run, smsNumber) };
}

async function measureIn(load: Load, smsCount: number): Promise<RedisNeed> {
  const folder = mkdtempSync(join(tmpdir(), 'redial-bytes-'));
  const redis = await startPrivateRedis({ folder, path: process.env.PATH ?? '' });
  const connection = new RedisConnection({ url: redis.url, log: new RecordedLog() });
  try {
    await connection.open(60_000);
    return await measure(connection, load, smsCount);
  } finally {
    connection.close();
    await redis.stop({ signal: 'SIGKILL' });
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(connection: RedisConnection, load: Load, smsCount: number): Promise<RedisNeed> {
  const options = { prefix: QUEUE, recorderId: RECORDER, keepTimeMs: KEEP_TIME_MS };
  const counters = new RedisCounterStore({ connection, ...options });
  await counters.beginRebuild();
  await counters.endRebuild();
  // Scripts are loaded and the buffers of the connection are there before anything is measured.
  await recordObject(counters, { ...load, idOf: (smsNumber) => `first-${load.idOf(smsNumber)}` }, 0, 1);
  const usedBefore = await readInfo(connection, 'memory', 'used_memory');
  let [recordSeconds, settleSeconds] = [0, 0];
  for (let first = 1; first <= smsCount; first += RECORDS_PER_OBJECT) {
    const count = Math.min(RECORDS_PER_OBJECT, smsCount + 1 - first);
    const beganAt = await readCpuSeconds(connection);
    const { objectId, smsIds } = await recordObject(counters, load, first, count);
    const recordedAt = await readCpuSeconds(connection);
    const strangers = await counters.settle(objectId, smsIds);
    if (strangers.length > 0) throw new Error(`${strangers.length} SMS were not claimed for ${objectId}`);
    recordSeconds += recordedAt - beganAt;
    settleSeconds += (await readCpuSeconds(connection)) - recordedAt;
  }
  const used = await readInfo(connection, 'memory', 'used_memory');
  return {
    title: load.title,
    bytes: (used - usedBefore) / smsCount,
    valueBytes: await connection.session().redis.strlen(`${QUEUE}:sms:${load.idOf(1)}`),
    recordMicroseconds: (recordSeconds * 1e6) / smsCount,
    settleMicroseconds: (settleSeconds * 1e6) / smsCount,
  };
}

/** Tells each attempt but the last by itself, as it happened, then the outcomes for one object. */
async function recordObject(
  counters: RedisCounterStore,
  { run, attempts, idOf }: Load,
  first: number,
  count: number,
): Promise<{ objectId: string; smsIds: string[] }> {
  const nowMs = Date.UTC(2026, 10, 22, 10, 0, 0) + first;
  const objectId = outcomeObjectId(nowMs, RECORDER, first);
  const smsIds = Array.from({ length: count }, (_, index) => idOf(first + index));
  const histories = smsIds.map((_, index) => attemptsOf(attempts, first + index, nowMs));
  for (let attempt = 1; attempt < attempts; attempt += 1) {
    await recordInCalls(
      counters,
      smsIds.map((smsId, index) => ({
        ...{ kind: 'attempt' as const, smsId, run },
        attempt: histories[index]?.[attempt - 1] as AttemptRecord,
      })),
    );
  }
  await recordInCalls(
    counters,
    smsIds.map((smsId, index) => ({
      kind: 'outcome' as const,
      outcome: {
        ...{ smsId, run, status: 'sent' as const, attempts: histories[index] ?? [] },
        contentDigest: (first + index).toString(16).padStart(16, '0'),
      },
      objectId,
    })),
  );
  return { objectId, smsIds };
}

async function recordInCalls(counters: RedisCounterStore, entries: readonly CounterEntry[]): Promise<void> {
  for (let index = 0; index < entries.length; index += ENTRIES_PER_CALL)
    await counters.record(entries.slice(index, index + ENTRIES_PER_CALL));
}

/** Three digits of milliseconds each, as with the default MEAN_PROCESSING_TIME. */
function attemptsOf(count: number, smsNumber: number, nowMs: number): AttemptRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    attempt: index + 1,
    startedAt: new Date(nowMs - (count - index) * 30_000 - (smsNumber % 1_000)).toISOString(),
    ...(index === 0 ? {} : { lateMs: smsNumber % 10 }),
    tookMs: 100 + (smsNumber % 900),
    ...(index === count - 1 ? { result: 'sent' as const } : { result: 'failed' as const, reason: 'timeout' }),
  }));
}

function readCpuSeconds(connection: RedisConnection): Promise<number> {
  return readInfo(connection, 'cpu', 'used_cpu_user', 'used_cpu_sys');
}

/** The sum of these numbers of a section. */
async function readInfo(connection: RedisConnection, section: string, ...names: string[]): Promise<number> {
  const info = await connection.session().redis.info(section);
  const read = (name: string) => Number(new RegExp(`^${name}:([\\d.]+)`, 'm').exec(info)?.[1]);
  return names.reduce((sum, name) => sum + read(name), 0);
}
