/** Builds the objects of one command of the monitor. */
import { RabbitMqOverdueReader } from '../shared/adapters/rabbitmq/overdue-reader.ts';
import {
  createLook,
  createObjectStore,
  lookOptionsOf,
  MANAGEMENT_SHARE,
  ServersRead,
} from '../shared/composing/servers-read.ts';
import { printable } from '../shared/domain/printable.ts';
import type { Snapshot } from '../shared/domain/snapshot.ts';
import { ServerUnavailableError } from '../shared/errors.ts';
import type { Logger } from '../shared/ports/logger.ts';
import type { Config } from '../shared/process/config/config.ts';
import { outcomePrefixesOf } from '../shared/process/config/s3.ts';
import { EXIT } from '../shared/process/exit-code.ts';
import { keepHealthFile } from '../shared/process/health-file.ts';
import { createLogger } from '../shared/process/logger.ts';
import { isTerminal, say, takesEscapes, writeData } from '../shared/process/output.ts';
import { listenForShutdown } from '../shared/process/shutdown.ts';
import { systemClock } from '../shared/process/system-clock.ts';
import { audit } from './audit/audit.ts';
import type { MonitorOptions } from './monitor-options.ts';
import { listParked } from './parked/list-parked.ts';
import { renderAudit } from './views/audit-view.ts';
import { ConsoleView, LEGEND } from './views/console-view.ts';
import { renderSummary } from './views/summary-view.ts';
import { readingDeadlineMs, watch } from './views/watch.ts';
import type { Page } from './views/web/compose.ts';

// Exit 69 is promised within 30 s of the start.
const ONCE_REDIS_DEADLINE_MS = 25_000;
const AUDIT_REDIS_DEADLINE_MS = 5_000;
const AUDIT_MANAGEMENT_DEADLINE_MS = 5_000;
const ONE_READING_DEADLINE_MS = 5_000;
// Several retry queues of which each may hold 10,000 overdue SMS.
const OVERDUE_DEADLINE_MS = 20_000;

export interface MonitorCommand {
  /** @returns the exit code */
  run(): Promise<number>;
  /** Closes what the command has opened. */
  close(): void;
}

export async function compose(config: Config, options: MonitorOptions): Promise<MonitorCommand> {
  switch (options.mode) {
    case 'audit':
      return composeAudit(config, options);
    case 'parked':
      return composeParkedList(config, options);
    case 'once':
      return composeOnce(config, options);
    case 'watch':
      return composeWatch(config, options);
  }
}

async function composeAudit(config: Config, { isJson, run }: MonitorOptions): Promise<MonitorCommand> {
  const log = createTalk(config);
  const objects = await createObjectStore(config);
  const servers = new ServersRead(config, 'monitor', log, AUDIT_MANAGEMENT_DEADLINE_MS);
  const { counters, queues } = servers;
  const overdue = new RabbitMqOverdueReader(lookOptionsOf(config, 'monitor', log, OVERDUE_DEADLINE_MS));
  const { queueName: queue, keepTime: keepTimeMs } = config;
  return {
    async run() {
      await objects.requireCredentials();
      await servers.connectWithin(AUDIT_REDIS_DEADLINE_MS);
      const report = await audit(
        { objects, counters, queues, overdue, clock: systemClock },
        { queue, prefixes: outcomePrefixesOf(config), keepTimeMs, run },
      );
      await print(isJson ? jsonOf(report) : renderAudit(report, queue, run));
      return report.balanced ? EXIT.done : EXIT.failed;
    },
    close() {
      servers.close();
      objects.close();
    },
  };
}

async function composeParkedList(config: Config, options: MonitorOptions): Promise<MonitorCommand> {
  const objects = await createObjectStore(config);
  const { queueName: queue, keepTime: keepTimeMs } = config;
  const scope = { ...options, queue, keepTimeMs, prefixes: outcomePrefixesOf(config) };
  return {
    async run() {
      await objects.requireCredentials();
      const problems = await listParked({ objects, clock: systemClock }, scope, writeData);
      if (options.isJson && problems.length > 0) say(problems.join('\n'));
      return problems.length === 0 ? EXIT.done : EXIT.failed;
    },
    close: () => objects.close(),
  };
}

function composeOnce(config: Config, { isJson, run }: MonitorOptions): MonitorCommand {
  const servers = new ServersRead(
    config,
    'monitor',
    createTalk(config),
    ONE_READING_DEADLINE_MS * MANAGEMENT_SHARE,
  );
  const look = createLook(servers, config.queueName, run);
  return {
    async run() {
      await servers.redis.open(ONCE_REDIS_DEADLINE_MS);
      const snapshot = await look(ONE_READING_DEADLINE_MS);
      if (snapshot.accepted === null)
        throw new ServerUnavailableError(snapshot.problems.join('\n'), { isRefusal: false });
      await print(isJson ? jsonOf(snapshot) : renderSummary(snapshot));
      return EXIT.done;
    },
    close: () => servers.close(),
  };
}

function composeWatch(config: Config, { isJson, run }: MonitorOptions): MonitorCommand {
  const reader = new AbortController();
  const shutdown = AbortSignal.any([listenForShutdown(), reader.signal]);
  // One who has seen enough (`npx monitor --json | head`) is no failure.
  const onReaderGone = () => reader.abort('the reader is gone');
  const isLog = !isJson && (config.logFormat ?? (isTerminal(1) ? 'pretty' : 'json')) === 'json';
  // Where stdout carries data or a table, what we have to say goes to stderr.
  const log = isLog
    ? createLogger({
        name: 'monitor',
        level: config.logLevel,
        format: 'json',
        fileDescriptor: 1,
        onReaderGone,
      })
    : createTalk(config);
  const view = new ConsoleView(takesEscapes(1));
  const write = async (text: string) => {
    if (!(await print(text, shutdown))) onReaderGone();
  };
  const show = async (snapshot: Snapshot) => {
    if (isLog) return log.info(snapshot, 'snapshot');
    await write(isJson ? jsonOf(snapshot) : view.render(snapshot).join('\n'));
  };
  const deadlineMs = readingDeadlineMs(config.monitorUpdateInterval);
  const servers = new ServersRead(config, 'monitor', log, deadlineMs * MANAGEMENT_SHARE);
  const look = createLook(servers, config.queueName, run);
  // Servers that are away are what a monitor is there to tell: it is well as long as it runs.
  const { healthFile: file } = config;
  const endHealthFile = keepHealthFile({ file, isWorking: () => true, clock: systemClock, log });
  let page: Page | undefined;
  return {
    async run() {
      page = await openPageWhereAsked(config, log);
      if (page !== undefined) {
        if (isLog) log.info({ url: page.url }, 'the page listens');
        else say(`The page is at ${page.url}`);
      }
      if (!isJson && !isLog) await write(LEGEND);
      await servers.connectWithin(deadlineMs, shutdown);
      await watch(systemClock, config.monitorUpdateInterval, shutdown, async () => {
        const snapshot = await look(deadlineMs);
        if (!shutdown.aborted) await show(snapshot);
      });
      await page?.close();
      return EXIT.done;
    },
    close() {
      void page?.close();
      servers.close();
      endHealthFile();
    },
  };
}

/** Loaded only then: an HTTP server takes a tenth of a second. */
async function openPageWhereAsked(config: Config, log: Logger): Promise<Page | undefined> {
  if (config.monitorPort === undefined) return undefined;
  const { openPage } = await import('./views/web/compose.ts');
  return openPage(config, config.monitorPort, log);
}

/** A log on stderr for what is not data. */
function createTalk(config: Config): Logger {
  return createLogger({
    name: 'monitor',
    level: config.logLevel,
    format: config.logFormat,
    fileDescriptor: 2,
  });
}

/** JSON that may stand on a terminal: JSON itself escapes only what is below a blank. */
function jsonOf(value: object): string {
  return printable(JSON.stringify(value));
}

/** @returns false where nobody reads it. @throws OutputError */
function print(text: string, shutdown?: AbortSignal): Promise<boolean> {
  return writeData(`${text}\n`, shutdown);
}
