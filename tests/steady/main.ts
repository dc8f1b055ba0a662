/**
 * `npm run test:steady`: a load that goes on for half an hour leaves Redis' memory flat and the books right.
 * Real producers, senders and private servers; a look each 20 s, an audit each 5 minutes.
 */
import { Command, InvalidArgumentError } from 'commander';
import { formatDuration, parseDuration } from '../../shared/domain/schedule/duration.ts';
import { startTestServers } from '../kit/process/test-servers.ts';
import { fail, judge, say, sayCounts } from '../kit/verdicts.ts';
import { judgeMemory, MOST_ABOVE_USUAL, SETTLED_AFTER, USUAL_UNTIL } from './judge-steady.ts';
import { runSteadily, type SteadyResult, type SteadySettings, type SteadyTeller } from './steady-run.ts';
import { HEAD, megabytes, renderAudit, renderLook, renderTable } from './steady-table.ts';

/** Less than this share of the wanted rate is another load. */
const LEAST_OF_RATE = 0.95;

const TELLER: SteadyTeller = {
  look: (look) => say(renderLook(look)),
  audit: (audit) => say(renderAudit(audit)),
  wrong: (sentence) => say(`WRONG   ${sentence}`),
};

const program = new Command('test:steady')
  .option('--minutes <count>', 'of producing', positive, 30)
  .option('--rate <per-second>', 'SMS per second', positive, 2_000)
  .option('--keep-time <duration>', 'KEEP_TIME, at most a third of the minutes', duration, duration('5m'))
  .option('--run-seconds <seconds>', 'SMS of so many seconds are a run of their own', positive, 60)
  .option('--look-seconds <seconds>', 'between looks (default: a tenth of KEEP_TIME, 3 to 20)', positive)
  .option('--audit-minutes <count>', 'between audits (default: a sixth of the minutes)', positive)
  .option('--senders <count>', 'sender processes', positive, 2);
const settings = readSettings(program.parse().opts());

const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => interrupted.abort(signal));
say(`Again with: npm run test:steady -- ${describe(settings)}`);
const { servers, stop } = await startTestServers();
try {
  say(HEAD);
  report(await runSteadily(servers, settings, interrupted.signal, TELLER));
} catch (error) {
  if (interrupted.signal.aborted) fail(`interrupted by ${interrupted.signal.reason}`);
  else fail(error instanceof Error ? error.message : String(error));
} finally {
  await stop();
}
// Ends as the signal would have ended it, now that nothing of it is left.
if (interrupted.signal.aborted) process.kill(process.pid, interrupted.signal.reason as NodeJS.Signals);

function report(result: SteadyResult): void {
  const { looks, audits, acceptedCount, acceptedPerSecond, wrongCount } = result;
  say(`\n${renderTable(looks, audits)}\n`);
  judge(
    wrongCount === 0,
    `${looks.length} looks and ${audits.length} audits, ${wrongCount} things were wrong`,
  );
  judge(
    acceptedPerSecond >= LEAST_OF_RATE * settings.smsPerSecond,
    `${acceptedCount} SMS accepted, ${Math.round(acceptedPerSecond)} a second (at least ` +
      `${LEAST_OF_RATE * 100} % of ${settings.smsPerSecond})`,
  );
  const keepSeconds = settings.keepTimeMs / 1_000;
  const memory = judgeMemory(looks, keepSeconds);
  const [from, to] = [SETTLED_AFTER, USUAL_UNTIL].map((times) => minutes(times * keepSeconds));
  judge(
    memory?.isFlat === true,
    `Redis uses at most ${megabytes(memory?.largestBytes ?? Number.NaN)} MB from minute ${from} on, which may be ` +
      `${MOST_ABOVE_USUAL * 100} % above the median of minutes ${from} to ${to}: ` +
      `${megabytes(memory?.usualBytes ?? Number.NaN)} MB`,
  );
  sayCounts();
}

function minutes(seconds: number): string {
  return String(Math.round(seconds / 6) / 10);
}

interface Options {
  readonly minutes: number;
  readonly rate: number;
  readonly keepTime: number;
  readonly runSeconds: number;
  readonly lookSeconds?: number;
  readonly auditMinutes?: number;
  readonly senders: number;
}

function readSettings(options: Options): SteadySettings {
  const { minutes: all, keepTime } = options;
  // Two of them until it is known what is usual, one more to see whether it stays so.
  if (3 * keepTime > all * 60_000) program.error('--keep-time must be at most a third of --minutes');
  return {
    ...{ minutes: all, smsPerSecond: options.rate, keepTimeMs: keepTime, runSeconds: options.runSeconds },
    lookSeconds: options.lookSeconds ?? Math.min(20, Math.max(3, keepTime / 10_000)),
    auditMinutes: options.auditMinutes ?? Math.ceil(all / 0.6) / 10,
    senders: Math.ceil(options.senders),
  };
}

function describe(chosen: SteadySettings): string {
  return [
    `--minutes ${chosen.minutes} --rate ${chosen.smsPerSecond} --keep-time ${formatDuration(chosen.keepTimeMs)}`,
    `--run-seconds ${chosen.runSeconds} --look-seconds ${chosen.lookSeconds}`,
    `--audit-minutes ${chosen.auditMinutes} --senders ${chosen.senders}`,
  ].join(' ');
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('It must be a number above 0.');
  return value;
}

function duration(text: string): number {
  const value = parseDuration(text);
  if (value === undefined || value < 1_000) throw new InvalidArgumentError('Write 30s, 5m or 1h.');
  return value;
}
