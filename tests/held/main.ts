/**
 * `npm run test:held`: many SMS are accepted in one go for moments spread over the same minute. Says how late they are, through
 * how many hold queues they pass, and what holding them costs RabbitMQ. Real senders and private servers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { parseDuration } from '../../shared/domain/schedule/duration.ts';
import { endAllProcesses, endProcessesOnSignals } from '../kit/process/running-process.ts';
import { startAllServers } from '../kit/process/test-servers.ts';
import { fail, judge, say, sayCounts } from '../kit/verdicts.ts';
import { type HeldResult, type HeldSettings, runHeld } from './held-run.ts';

const MOST_P99_MS = 500;
const MOST_MS = 2_000;

const options = new Command('test:held')
  .option('--num-messages <count>', 'SMS', positive, 100_000)
  .option('--ahead <duration>', 'until the first of them is due', duration, 600_000)
  .option('--spread <duration>', 'from the first of them to the last', duration, 60_000)
  .option('--senders <count>', 'sender processes', positive, 2)
  .option('--kill-rabbitmq', 'SIGKILL and start it again in between', false)
  .option('--senders-away <duration>', 'no sender runs for so long in between', duration, 0)
  .parse()
  .opts<HeldSettings & { readonly numMessages: number }>();

endProcessesOnSignals();
const folder = mkdtempSync(join(tmpdir(), 'redial-held-'));
const servers = await startAllServers(folder);
try {
  report(await runHeld({ ...servers, folder }, { ...options, smsCount: options.numMessages }, say));
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
} finally {
  endAllProcesses();
  await servers.stop();
  rmSync(folder, { recursive: true, force: true });
}

function report({ lateness, hops, rabbitMqCpuMs, accepted, sent }: HeldResult): void {
  const perSms = (value: number | undefined, digits: number) =>
    value === undefined ? 'not known' : (value / accepted).toFixed(digits);
  say(`hops per SMS                  ${perSms(hops, 1)}`);
  say(`CPU of RabbitMQ per SMS, ms   ${perSms(rabbitMqCpuMs, 2)}`);
  const { count, earliestMs, earlyCount, p50Ms, p99Ms, latestMs } = lateness;
  say(`of ${count} first attempts, late by: p50 ${p50Ms} ms, p99 ${p99Ms} ms, at most ${latestMs} ms`);
  judge(sent === accepted, `${sent} of ${accepted} SMS were sent`);
  judge(earlyCount === 0, `${earlyCount} were early, the earliest by ${Math.max(0, -earliestMs)} ms`);
  judge(p99Ms <= MOST_P99_MS, `p99 is at most ${MOST_P99_MS} ms`);
  judge(latestMs <= MOST_MS, `none is later than ${MOST_MS} ms`);
  sayCounts();
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isSafeInteger(value)))
    throw new InvalidArgumentError('It must be a whole number above 0.');
  return value;
}

function duration(text: string): number {
  const value = parseDuration(text);
  if (value === undefined) throw new InvalidArgumentError('Write 30s, 5m or 1h.');
  return value;
}
