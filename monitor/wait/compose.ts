/** Builds `monitor --wait`: it ends when every accepted SMS has its outcome, and judges the run. */
import { RabbitMqOverdueReader } from '../../shared/adapters/rabbitmq/waiting/overdue-reader.ts';
import type { S3ObjectStore } from '../../shared/adapters/s3/object-store.ts';
import {
  createLook,
  createObjectStore,
  lookOptionsOf,
  MANAGEMENT_SHARE,
  ServersRead,
} from '../../shared/composing/servers-read.ts';
import { printable } from '../../shared/domain/printable.ts';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { describeError, ServerUnavailableError } from '../../shared/errors.ts';
import { askOnce } from '../../shared/pipeline/readings/answer.ts';
import { abortOf, pause } from '../../shared/pipeline/waiting.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import type { Config } from '../../shared/process/config/config.ts';
import { outcomePrefixesOf } from '../../shared/process/config/s3.ts';
import { EXIT } from '../../shared/process/exit-code.ts';
import { say, takesEscapes, writeData } from '../../shared/process/output.ts';
import { listenForShutdown } from '../../shared/process/shutdown.ts';
import { systemClock } from '../../shared/process/system-clock.ts';
import { audit } from '../audit/audit.ts';
import type { MonitorCommand } from '../monitor-command.ts';
import type { MonitorOptions } from '../monitor-options.ts';
import { createPaint } from '../views/paint.ts';
import { startProgress } from '../views/progress.ts';
import { renderRunSummary } from '../views/summary/run-summary.ts';
import { judge } from './condition.ts';
import { ProblemTeller } from './problem-teller.ts';
import { waitForOutcomes } from './wait.ts';

// Exit 69 is promised within 30 s of the start.
const REDIS_DEADLINE_MS = 25_000;
const LOOK_DEADLINE_MS = 5_000;
const OVERDUE_DEADLINE_MS = 20_000;
// The statistics of RabbitMQ notice last that a queue is empty.
const AUDITS_AT_MOST = 15;
const BETWEEN_AUDITS_MS = 1_000;

export async function composeWait(
  config: Config,
  options: MonitorOptions,
  log: Logger,
): Promise<MonitorCommand> {
  const { isJson, isPlain, run, failIf } = options;
  const shutdown = listenForShutdown();
  const interrupted = abortOf(shutdown);
  const servers = new ServersRead(config, 'monitor', log, LOOK_DEADLINE_MS * MANAGEMENT_SHARE);
  const look = createLook(servers, config.queueName, run);
  // Nobody waits for an hour to be told then that there are no credentials.
  const isAuditAsked = failIf.some(({ name }) => name === 'missing');
  const objects = isAuditAsked ? await createObjectStore(config) : undefined;
  return {
    async run() {
      await objects?.requireCredentials();
      await servers.connectWithin(REDIS_DEADLINE_MS, shutdown);
      if (!shutdown.aborted) requireCounters(await look(LOOK_DEADLINE_MS));
      const snapshot = await waitWithProgress(isPlain, shutdown, () => look(LOOK_DEADLINE_MS));
      const counting = objects && countMissing(config, servers, objects, log, run, shutdown);
      const missing = (await Promise.race([counting, interrupted])) ?? null;
      if (snapshot === undefined || shutdown.aborted) return interruptedBy(shutdown);
      const verdicts = failIf.map((condition) => judge(condition, { snapshot, missing }));
      const failures = verdicts.filter(({ holds }) => holds !== false);
      const told = { summary: snapshot, verdicts, passed: failures.length === 0 };
      const text = isJson
        ? `${printable(JSON.stringify(told))}\n`
        : renderRunSummary({ snapshot, senders: snapshot.senders }, createPaint(takesEscapes(1)));
      await writeData(text, shutdown);
      for (const { sentence } of failures) say(sentence);
      return failures.length === 0 ? EXIT.done : EXIT.thresholdMissed;
    },
    close() {
      servers.close();
      objects?.close();
    },
  };
}

async function waitWithProgress(
  isPlain: boolean,
  shutdown: AbortSignal,
  look: Parameters<typeof waitForOutcomes>[2],
) {
  const hasBar = !isPlain && takesEscapes(2);
  const progress = startProgress(0, { hasBar, say, nowMs: systemClock.nowMs });
  const problems = new ProblemTeller(say);
  try {
    return await waitForOutcomes(systemClock, shutdown, look, (snapshot) => {
      if (!hasBar) problems.tell(snapshot.problems);
      progress.show(snapshot);
    });
  } finally {
    progress.end();
  }
}

/** By an audit, once it finds the queues empty. Null where it does not, or cannot read S3. */
async function countMissing(
  config: Config,
  { counters, queues }: ServersRead,
  objects: S3ObjectStore,
  log: Logger,
  run: string | undefined,
  shutdown: AbortSignal,
): Promise<number | null> {
  const overdue = new RabbitMqOverdueReader(lookOptionsOf(config, 'monitor', log, OVERDUE_DEADLINE_MS));
  const { queueName: queue, keepTime: keepTimeMs } = config;
  for (let tries = 0; tries < AUDITS_AT_MOST && !shutdown.aborted; tries += 1) {
    const report = await askOnce(() =>
      audit(
        { objects, counters, queues, overdue, clock: systemClock },
        { queue, prefixes: outcomePrefixesOf(config), keepTimeMs, run },
      ),
    );
    if (report.kind === 'silent') {
      say(`S3 could not be read: ${describeError(report.error)}`);
      return null;
    }
    if (report.reading.missing !== null) return report.reading.missing;
    await pause(systemClock, BETWEEN_AUDITS_MS, shutdown);
  }
  return null;
}

/** @throws ServerUnavailableError where Redis has told nothing: later it may be away, and is waited for */
function requireCounters({ accepted, problems }: Snapshot): void {
  if (accepted === null) throw new ServerUnavailableError(problems.join('\n'), { isRefusal: false });
}

function interruptedBy(shutdown: AbortSignal): number {
  return EXIT.interrupted[shutdown.reason as keyof typeof EXIT.interrupted];
}
