/** Builds the objects of one command of the monitor. */
import { RabbitMqOverdueReader } from '../shared/adapters/rabbitmq/waiting/overdue-reader.ts';
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
import { FullScreen } from '../shared/process/full-screen.ts';
import { keepHealthFile } from '../shared/process/health-file.ts';
import { createLogger } from '../shared/process/logger.ts';
import { isTerminal, say, takesEscapes, takesPictures, writeData } from '../shared/process/output.ts';
import { listenForShutdown } from '../shared/process/shutdown.ts';
import { systemClock } from '../shared/process/system-clock.ts';
import { audit } from './audit/audit.ts';
import type { MonitorCommand } from './monitor-command.ts';
import type { MonitorOptions } from './monitor-options.ts';
import { listParked } from './parked/list-parked.ts';
import { renderAudit } from './views/audit-view.ts';
import { ConsoleView, LEGEND } from './views/console-view.ts';
import { createPaint } from './views/paint.ts';
import { Screen } from './views/screen/screen.ts';
import { renderSummary } from './views/summary-view.ts';
import { readingDeadlineMs, watch } from './views/watch.ts';
import type { Page } from './views/web/compose.ts';
import { composeWait } from './wait/compose.ts';

// Exit 69 is promised within 30 s of the start.
const ONCE_REDIS_DEADLINE_MS = 25_000;
const AUDIT_REDIS_DEADLINE_MS = 5_000;
const AUDIT_MANAGEMENT_DEADLINE_MS = 5_000;
const ONE_READING_DEADLINE_MS = 5_000;
// Several retry queues of which each may hold 10,000 overdue SMS.
const OVERDUE_DEADLINE_MS = 20_000;
// Who looks at a screen sees within two seconds of the start that a server does not answer.
const SCREEN_CONNECT_MS = 300;
const SCREEN_INTERVAL_MS = 1_000;

export async function compose(config: Config, options: MonitorOptions): Promise<MonitorCommand> {
  switch (options.mode) {
    case 'audit':
      return composeAudit(config, options);
    case 'parked':
      return composeParkedList(config, options);
    case 'once':
      return composeOnce(config, options);
    case 'wait':
      return composeWait(config, options, createTalk(config));
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

function composeWatch(config: Config, { isJson, isPlain, run }: MonitorOptions): MonitorCommand {
  const reader = new AbortController();
  const shutdown = AbortSignal.any([listenForShutdown(), reader.signal]);
  // One who has seen enough (`npx monitor --json | head`) is no failure.
  const onReaderGone = () => reader.abort('the reader is gone');
  const isLog = !isJson && (config.logFormat ?? (isTerminal(1) ? 'pretty' : 'json')) === 'json';
  const isScreen = !isJson && !isLog && !isPlain && takesPictures(1);
  // Where stdout carries data or a table, what we have to say goes to stderr.
  const log = isLog
    ? createLogger({
        name: 'monitor',
        level: config.logLevel,
        format: 'json',
        file: config.logFile,
        fileDescriptor: 1,
        onReaderGone,
      })
    : createTalk(config, !(isScreen && isTerminal(2)));
  const write = async (text: string) => {
    if (!(await print(text, shutdown))) onReaderGone();
  };
  const watched = isScreen
    ? composeScreen(config, shutdown, onReaderGone)
    : { ...composeLines(isJson, isLog ? log : undefined, write), intervalMs: config.monitorUpdateInterval };
  const { intervalMs } = watched;
  const deadlineMs = readingDeadlineMs(intervalMs);
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
        else if (!isScreen) say(`The page is at ${page.url}`);
      }
      await watched.begin();
      await servers.connectWithin(isScreen ? SCREEN_CONNECT_MS : deadlineMs, shutdown);
      await watch(systemClock, intervalMs, shutdown, async () => {
        const snapshot = await look(deadlineMs);
        if (!shutdown.aborted) await watched.show(snapshot);
      });
      await page?.close();
      return EXIT.done;
    },
    close() {
      watched.end();
      void page?.close();
      servers.close();
      endHealthFile();
    },
  };
}

/** What becomes of the snapshots that are taken again and again. */
interface WatchedView {
  begin(): Promise<void>;
  show(snapshot: Snapshot): Promise<void>;
  end(): void;
}

/** @param log where the snapshots are lines of a log */
function composeLines(
  isJson: boolean,
  log: Logger | undefined,
  write: (text: string) => Promise<void>,
): WatchedView {
  const view = new ConsoleView(takesEscapes(1));
  return {
    async begin() {
      if (!isJson && log === undefined) await write(LEGEND);
    },
    async show(snapshot) {
      if (log !== undefined) return log.info(snapshot, 'snapshot');
      await write(isJson ? jsonOf(snapshot) : view.render(snapshot).join('\n'));
    },
    end() {},
  };
}

/** The terminal is given back as soon as the signal aborts. */
function composeScreen(
  config: Config,
  shutdown: AbortSignal,
  onQuit: () => void,
): WatchedView & { readonly intervalMs: number } {
  const canvas = new FullScreen({ onQuit, onGone: onQuit, onResize: () => screen.draw() });
  const screen = new Screen(canvas, config.queueName, createPaint(takesEscapes(1)), systemClock.nowMs);
  const end = () => canvas.close();
  return {
    intervalMs: Math.min(config.monitorUpdateInterval, SCREEN_INTERVAL_MS),
    async begin() {
      shutdown.addEventListener('abort', end);
      canvas.open();
      screen.draw();
    },
    show: async (snapshot) => screen.show(snapshot),
    end,
  };
}

/** Loaded only then: an HTTP server takes a tenth of a second. */
async function openPageWhereAsked(config: Config, log: Logger): Promise<Page | undefined> {
  if (config.monitorPort === undefined) return undefined;
  const { openPage } = await import('./views/web/compose.ts');
  return openPage(config, config.monitorPort, log);
}

/** A log on stderr for what is not data. */
function createTalk(config: Config, isShown = true): Logger {
  return createLogger({
    name: 'monitor',
    level: config.logLevel,
    format: config.logFormat,
    file: config.logFile,
    isShown,
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
