/**
 * What it costs a sender of 5,000 SMS/s to be watched: its CPU for an SMS while a page is open, beside its CPU while the
 * monitor is frozen, in turns. Also run by `npm run measure:page`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { medianOf } from '../../bench/instruments/statistics.ts';
import { PageUnderTest } from '../kit/page/page-under-test.ts';
import { SeenViews } from '../kit/page/seen-views.ts';
import { PipelineUnderTest } from '../kit/process/pipeline-under-test.ts';
import type { RunningProcess } from '../kit/process/running-process.ts';
import type { startTestServers } from '../kit/process/test-servers.ts';

const ROUNDS = 9;
const MEASURED_MS = 6_000;
const SETTLED_MS = 1_000;
const SMS_PER_SECOND = 5_000;

type Servers = Awaited<ReturnType<typeof startTestServers>>['servers'];

export async function measureWatched(servers: Servers): Promise<void> {
  const pipeline = new PipelineUnderTest(servers, 'watched', {
    ...{ RETRY_SCHEDULE: '1s,2s,4s,8s', FAILURE_RATE: '0.1' },
    ...{ MEAN_PROCESSING_TIME: '0.05', SENDER_CONCURRENCY: '1000' },
  });
  try {
    const sender = await pipeline.startSender();
    const counters = await pipeline.openCounters();
    const countAttempts = async () =>
      [...(await counters.read()).runs.values()].reduce((sum, { attempts }) => sum + attempts, 0);
    const monitor = await PageUnderTest.start(pipeline);
    const seconds = (ROUNDS * 2 * (MEASURED_MS + SETTLED_MS)) / 1_000 + 30;
    const count = String(SMS_PER_SECOND * Math.ceil(seconds));
    pipeline.start('producer', ['--num-messages', count, '--rate', String(SMS_PER_SECOND), '--no-progress']);
    await sleep(10_000);
    const ratios: number[] = [];
    const rates: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      monitor.process.signal('SIGSTOP');
      const alone = await costOf(sender, countAttempts);
      monitor.process.signal('SIGCONT');
      const page = new SeenViews(monitor.url);
      const watched = await costOf(sender, countAttempts);
      page.close();
      ratios.push(watched.cpuMsPerAttempt / alone.cpuMsPerAttempt);
      rates.push(alone.attemptsPerSecond, watched.attemptsPerSecond);
    }
    console.log(
      `watched sender: ${medianOf(rates).toFixed(0)} attempts/s, CPU for an attempt ${medianOf(ratios).toFixed(3)} x ` +
        `that of one that nobody watches (${ROUNDS} turns: ${ratios.map((ratio) => ratio.toFixed(3)).join(' ')})`,
    );
  } finally {
    await pipeline.end();
  }
}

async function costOf(sender: RunningProcess, countAttempts: () => Promise<number>) {
  await sleep(SETTLED_MS);
  const read = async () => ({
    attempts: await countAttempts(),
    cpuMs: sender.cpuMs,
    atMs: performance.now(),
  });
  const before = await read();
  await sleep(MEASURED_MS);
  const after = await read();
  const attempts = after.attempts - before.attempts;
  return {
    cpuMsPerAttempt: (after.cpuMs - before.cpuMs) / attempts,
    attemptsPerSecond: (attempts / (after.atMs - before.atMs)) * 1_000,
  };
}
