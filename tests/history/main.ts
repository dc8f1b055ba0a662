/**
 * `npm run test:history`: what a long history in S3 costs. `year` lets a real sender make its counters anew beside an
 * empty Redis, and audits them; `keys` rebuilds from millions of keys in a heap of 256 MB; `bytes` measures what Redis
 * needs for an SMS that has its outcome.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { startPrivateRedis } from '../../scripts/servers/private/private-redis.ts';
import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import { RedisCounterReader } from '../../shared/adapters/redis/counter-reader.ts';
import { findProjectFolder } from '../../shared/process/environment.ts';
import { copyPrograms } from '../kit/process/checkout.ts';
import { endAllProcesses, endProcessesOnSignals, RunningProcess } from '../kit/process/running-process.ts';
import { startTogether } from '../kit/process/test-servers.ts';
import { startTestedRabbitMq } from '../kit/rabbitmq/tested-rabbitmq.ts';
import { RecordedLog } from '../kit/recorded-log.ts';
import { type HistorySize, MadeUpHistory } from './made-up-history.ts';
import { measureRedisNeeds } from './redis-bytes.ts';
import { S3StandIn } from './s3-stand-in.ts';

const QUEUE = 'history';
const MAX_RESIDENT_MB = 300;
const HEAP_MB = 256;

endProcessesOnSignals();

const program = new Command('test:history');
program
  .command('year')
  .option('--days <count>', 'days of outcomes', '365')
  .option('--objects <count>', 'objects of a day', '1370')
  .option('--records <count>', 'records of an object', '6')
  .option('--newest <count>', 'objects of the newest day', '20000')
  .option('--latency <ms>', 'of S3', '0')
  .option('--no-audit', 'only rebuild')
  .action((options: Record<string, string> & { audit: boolean }) =>
    rebuildAYear(
      {
        days: Number(options.days),
        objectsPerDay: Number(options.objects),
        recordsPerObject: Number(options.records),
        newestDayObjects: Number(options.newest),
      },
      Number(options.latency),
      options.audit,
    ),
  );
program.command('keys').argument('[count]', 'keys in S3', '2000000').action(rebuildFromKeys);
program
  .command('bytes')
  .argument('[count]', 'SMS of each load', '200000')
  .option('--only <text>', 'loads whose title has it', '')
  .action(tellRedisNeeds);
await program.parseAsync();

async function rebuildAYear(size: HistorySize, latencyMs: number, isAudited: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'redial-history-'));
  const history = new MadeUpHistory(QUEUE, size, Date.now());
  const s3 = new S3StandIn(history, latencyMs);
  const started = await startTogether({
    rabbitMq: startTestedRabbitMq(join(folder, 'rabbitmq')),
    redis: startPrivateRedis({ folder: join(folder, 'redis'), path: process.env.PATH ?? '' }),
  });
  const { rabbitMq, redis } = started;
  const connection = new RedisConnection({ url: redis.url, log: new RecordedLog() });
  try {
    await connection.open(60_000);
    const counters = new RedisCounterReader(connection, QUEUE);
    const programFolder = copyPrograms(join(folder, 'program'));
    const environment = {
      PATH: process.env.PATH ?? '',
      ...{ RABBITMQ_URL: rabbitMq.amqpUrl, RABBITMQ_MANAGEMENT_URL: rabbitMq.managementUrl },
      ...{ REDIS_URL: redis.url, AWS_ENDPOINT_URL: await s3.open(), AWS_REGION: 'us-east-1' },
      ...{ AWS_ACCESS_KEY_ID: 'made', AWS_SECRET_ACCESS_KEY: 'up', QUEUE_NAME: QUEUE, LOG_FORMAT: 'json' },
    };
    say(
      `S3 lists ${history.objectCount} objects with ${history.recordCount} records, ${latencyMs} ms a request`,
    );

    const start = (command: 'sender' | 'monitor', args: readonly string[] = []) =>
      new RunningProcess({
        args: [join('dist', command, 'main.js'), ...args],
        folder: programFolder,
        environment,
      });
    const beganAtMs = Date.now();
    const sender = start('sender');
    const memory = await watchMemory(sender, async () => (await counters.read()).areValid);
    say(`rebuilt in ${secondsSince(beganAtMs)} s with ${JSON.stringify(s3.takeRequestCounts())} requests`);
    say(`  sender: ${memory} MB resident at most; Redis: ${await describeRedis(connection)}`);
    say(`  ${sender.stdout.split('\n').find((line) => line.includes('the counters are those')) ?? ''}`);
    if (memory >= MAX_RESIDENT_MB) fail(`the sender must stay below ${MAX_RESIDENT_MB} MB`);

    if (isAudited) await auditAYear(start, s3);
    await sender.stop();
  } finally {
    endAllProcesses();
    connection.close();
    s3.close();
    await started.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function auditAYear(
  start: (command: 'monitor', args: readonly string[]) => RunningProcess,
  s3: S3StandIn,
): Promise<void> {
  const beganAtMs = Date.now();
  const monitor = start('monitor', ['--audit', '--json']);
  const memory = await watchMemory(monitor, async () => monitor.hasEnded);
  const { exitCode } = await monitor.ended;
  say(`audited in ${secondsSince(beganAtMs)} s with ${JSON.stringify(s3.takeRequestCounts())} requests`);
  say(`  monitor: ${memory} MB resident at most, exit code ${exitCode}`);
  const { runs: _, ...sums } = JSON.parse(monitor.stdout) as Record<string, unknown>;
  say(`  ${JSON.stringify(sums)}`);
  if (exitCode !== 0) fail(`the books must balance ${monitor.stderr}`);
}

/** The most that was resident until the condition held, in MB. */
async function watchMemory(watched: RunningProcess, isOver: () => Promise<boolean>): Promise<number> {
  let most = 0;
  while (!(await isOver())) {
    most = Math.max(most, watched.highestResidentBytes() / 1_048_576);
    if (watched.hasEnded && !(await isOver())) throw new Error(`ended early: ${watched.stderr}`);
    await sleep(200);
  }
  return Math.round(most);
}

async function describeRedis(connection: RedisConnection): Promise<string> {
  const { redis } = connection.session();
  const memory = /used_memory_peak:(\d+)/.exec(await redis.info('memory'))?.[1];
  return `${await redis.dbsize()} keys, ${Math.round(Number(memory) / 1_048_576)} MB at most`;
}

async function rebuildFromKeys(keyCount: string): Promise<void> {
  const script = join(findProjectFolder(), 'dist', 'tests', 'kit', 'long-history.js');
  const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, script, keyCount], {
    stdio: 'inherit',
  });
  const [exitCode] = await once(child, 'exit');
  if (exitCode !== 0) fail(`a rebuild from ${keyCount} keys must fit into ${HEAP_MB} MB`);
}

async function tellRedisNeeds(smsCount: string, options: { readonly only: string }): Promise<void> {
  say('bytes of Redis for an SMS with its outcome | of its value | µs of Redis to record it | to settle it');
  for await (const need of measureRedisNeeds(Number(smsCount), options.only)) {
    const { title, bytes, valueBytes, recordMicroseconds, settleMicroseconds } = need;
    const microseconds = [recordMicroseconds, settleMicroseconds].map((each) => each.toFixed(2));
    say([bytes.toFixed(1), valueBytes, ...microseconds, title].join(' | '));
  }
}

function secondsSince(beganAtMs: number): string {
  return ((Date.now() - beganAtMs) / 1_000).toFixed(1);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function fail(reason: string): void {
  process.exitCode = 1;
  say(`Failed: ${reason}`);
}
