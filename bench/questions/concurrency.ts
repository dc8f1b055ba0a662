import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningProcess } from '../../tests/kit/process/running-process.ts';
import { waitFor } from '../../tests/kit/wait-for.ts';
import { busyCores, cpuPerSms } from '../instruments/cpu-per-sms.ts';
import { Measurements } from '../instruments/measurements.ts';
import { Pipeline } from '../instruments/pipeline.ts';
import { type Bench, interleave, type Question } from '../question.ts';

const RUN = 'concurrency';
const BYTES_PER_MEGABYTE = 1e6;

interface Size {
  readonly concurrency: number;
  readonly meanSeconds: number;
  readonly warmUpSeconds: number;
  readonly steadySeconds: number;
}

const FULL: Size = { concurrency: 10_000, meanSeconds: 2, warmUpSeconds: 10, steadySeconds: 60 };
const QUICK: Size = { concurrency: 10_000, meanSeconds: 2, warmUpSeconds: 5, steadySeconds: 8 };

export const concurrency: Question = {
  name: 'concurrency',
  title: 'Does one sender hold 10,000 SMS in flight?',
  method: [
    'One sender, concurrency 10,000, mean 2 s (exponential), no failures, more SMS waiting than it ' +
      'can send: 5,000 SMS/s is what the carrier allows.',
    'Measured over 60 seconds that begin 10 seconds after its "sending": attempts counted in Redis, ' +
      'CPU time, and how late timers of the sender were (`perf_hooks.monitorEventLoopDelay`, loaded ' +
      'beside it). Its memory is the highest it ever had resident.',
  ],
  async ask(bench) {
    const measurements = new Measurements();
    const size = bench.isQuick ? QUICK : FULL;
    await interleave(bench, { Redial: () => measureSteadyState(bench, measurements, size) });
    return measurements;
  },
};

async function measureSteadyState(bench: Bench, measurements: Measurements, size: Size): Promise<void> {
  const { concurrency, meanSeconds, warmUpSeconds, steadySeconds } = size;
  const pipeline = await Pipeline.open(bench, {
    MEAN_PROCESSING_TIME: String(meanSeconds),
    SENDER_CONCURRENCY: String(concurrency),
    FAILURE_RATE: '0',
  });
  const allowedPerSecond = concurrency / meanSeconds;
  await pipeline.produce(RUN, allowedPerSecond * (warmUpSeconds + steadySeconds + 5));
  await pipeline.servers.waitUntilIdle();

  const delayFile = join(bench.folder, 'event-loop-delay.json');
  const preload = join(bench.programFolder, 'dist', 'bench', 'instruments', 'event-loop-delay.js');
  const sender = pipeline.startSender({ EVENT_LOOP_DELAY_FILE: delayFile }, ['--import', preload]);
  await pipeline.isSending(sender);
  await sleep(warmUpSeconds * 1_000);

  await readDelay(sender, delayFile);
  const cpuBefore = pipeline.servers.readCpu();
  const senderBeforeMs = sender.cpuMs;
  const attemptsBefore = await readAttempts(pipeline);
  await sleep(steadySeconds * 1_000);
  const attemptsAfter = await readAttempts(pipeline);
  const senderMs = sender.cpuMs - senderBeforeMs;
  const cpuAfter = pipeline.servers.readCpu();
  const delay = await readDelay(sender, delayFile);

  const attempts = attemptsAfter.count - attemptsBefore.count;
  measurements.add('Redial', {
    smsPerSecond: (attempts * 1_000) / (attemptsAfter.atMs - attemptsBefore.atMs),
    eventLoopDelayP50Ms: delay.p50Ms,
    eventLoopDelayP99Ms: delay.p99Ms,
    senderMegabytes: sender.highestResidentBytes() / BYTES_PER_MEGABYTE,
    ...cpuPerSms(cpuBefore, cpuAfter, senderMs, attempts),
    ...busyCores(cpuBefore, cpuAfter, senderMs),
  });
  await pipeline.close();
}

async function readAttempts(pipeline: Pipeline): Promise<{ count: number; atMs: number }> {
  const counters = await pipeline.counters(RUN);
  return { count: counters?.attempts ?? 0, atMs: Date.now() };
}

/** What event-loop-delay.ts has seen since the last time. */
async function readDelay(sender: RunningProcess, file: string): Promise<{ p50Ms: number; p99Ms: number }> {
  rmSync(file, { force: true });
  sender.signal('SIGUSR2');
  let text = '';
  await waitFor('the event-loop delay', () => {
    try {
      text = readFileSync(file, 'utf8');
      return true;
    } catch {
      return false;
    }
  });
  return JSON.parse(text) as { p50Ms: number; p99Ms: number };
}
