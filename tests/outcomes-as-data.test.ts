/** The queries of docs/outcomes.md, taken out of the page and run on what a run has left in S3. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { OutcomeRecord } from '../shared/domain/outcome/outcome.ts';
import { PipelineUnderTest, type Snapshot } from './kit/process/pipeline-under-test.ts';
import { publishAsClient } from './kit/rabbitmq/foreign-client.ts';

const SMS_COUNT = 300;
const hasJq = spawnSync('jq', ['--version']).status === 0;
const page = readFileSync(new URL('../docs/outcomes.md', import.meta.url), 'utf8');

let pipeline: PipelineUnderTest;
let folder: string;
let snapshot: Snapshot;
let records: OutcomeRecord[];

/** Local copies of all objects, one of which a crash has written twice: the later copy tells another story. */
async function copyObjects(): Promise<void> {
  for await (const key of pipeline.objects.list('')) {
    const path = join(folder, 'outcomes', key);
    mkdirSync(dirname(path), { recursive: true });
    const body = (await pipeline.objects.get(key)) ?? Buffer.alloc(0);
    writeFileSync(path, body);
    if (!key.startsWith('success/')) continue;
    const later = path.replace('/outcomes/success/', '/outcomes/failed/').replace(/\/(\d{8})T/, '/9$1T');
    mkdirSync(dirname(later), { recursive: true });
    writeFileSync(later, body.toString().replaceAll('"status":"sent"', '"status":"failed","reason":"twice"'));
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'redial-outcomes-'));
  pipeline = new PipelineUnderTest(inject('servers'), 'outcomes', {
    RETRY_SCHEDULE: '50ms,80ms',
    FAILURE_RATE: '0.4',
    OUTCOME_BATCH_SECONDS: '0.2',
  });
  await pipeline.startSender();
  await pipeline.produce(SMS_COUNT, 'demo');
  const { rabbitmqUrl } = inject('servers');
  await publishAsClient(rabbitmqUrl, pipeline.queueName, [{ id: 'not readable: ü' }]);
  snapshot = await pipeline.waitUntilDone(SMS_COUNT + 1);
  records = await pipeline.records();
  await copyObjects();
});

afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await pipeline.end();
});

/** The queries of the page in one language, about the pipeline of this test. */
function queriesIn(language: 'sql' | 'sh'): string[] {
  const blocks = [...page.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))];
  return blocks.map(([, code = '']) => code.replace(/(['"])sms\1/g, `$1${pipeline.queueName}$1`));
}

function countBy(keyOf: (record: OutcomeRecord) => string | number, of = records): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const record of of) counts[keyOf(record)] = (counts[keyOf(record)] ?? 0) + 1;
  return counts;
}

/** The smallest lateness that at least this share of the attempts does not exceed, in seconds. */
function latenessSeconds(share: number): number {
  const latenesses = records.flatMap(({ attempts }) => attempts.flatMap(({ lateMs }) => lateMs ?? []));
  latenesses.sort((left, right) => left - right);
  return (latenesses[Math.ceil(latenesses.length * share) - 1] ?? Number.NaN) / 1_000;
}

function expected() {
  const { sent, failed, parked, failedByReason } = snapshot;
  return {
    byStatus: { sent, failed, parked },
    byReason: failedByReason,
    byAttempts: countBy(({ attempts }) => attempts.length),
    lateness: { p50: latenessSeconds(0.5), p99: latenessSeconds(0.99), max: latenessSeconds(1) },
  };
}

test('in DuckDB distinct outcomes equal the counters, by status and by reason', async () => {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  try {
    const [view = '', ...queries] = queriesIn('sql').map((query) =>
      query.replaceAll("'outcomes/", `'${folder}/outcomes/`),
    );
    await connection.run(view);
    const answers: Record<string, unknown>[][] = [];
    for (const query of queries) answers.push((await connection.runAndReadAll(query)).getRowObjectsJson());
    const pairs = (rows: Record<string, unknown>[] = [], key: string) =>
      Object.fromEntries(rows.map((row) => [row[key], Number(row.outcomes)]));
    const [byStatus, byReason, byAttempts, lateness, duplicates] = answers;
    expect({
      byStatus: pairs(byStatus, 'status'),
      byReason: pairs(byReason, 'reason'),
      byAttempts: pairs(byAttempts, 'attempts'),
      lateness: lateness?.[0],
    }).toEqual(expected());
    expect(Number(duplicates?.[0]?.duplicates)).toBe(snapshot.sent);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
});

test.skipIf(!hasJq)('so they do with jq, where it is installed', async () => {
  const [definition = '', ...queries] = queriesIn('sh');
  const answers = await Promise.all(
    queries.map(async (query) => {
      const script = `set -euo pipefail\n${definition}\n${query}`;
      const { stdout } = await promisify(execFile)('bash', ['-c', script], { cwd: folder });
      return JSON.parse(stdout) as unknown;
    }),
  );
  const { byStatus, byReason, byAttempts, lateness } = expected();
  expect(answers).toEqual([byStatus, byReason, byAttempts, lateness]);
});
