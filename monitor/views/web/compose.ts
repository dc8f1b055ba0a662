/** Builds the page of the monitor, and serves it until the shutdown. */
import { RedisHistoryStore } from '../../../shared/adapters/redis/clients/history-store.ts';
import type { S3ObjectStore } from '../../../shared/adapters/s3/object-store.ts';
import {
  createLook,
  createObjectStore,
  MANAGEMENT_SHARE,
  ServersRead,
} from '../../../shared/composing/servers-read.ts';
import { createStories } from '../../../shared/composing/stories.ts';
import type { Logger } from '../../../shared/ports/logger.ts';
import type { Config } from '../../../shared/process/config/config.ts';
import {
  type Listening,
  listenAsConfigured,
  NO_TOKEN,
  requireTokenBeyondLoopback,
} from '../../../shared/process/config/listening.ts';
import { managementOf } from '../../../shared/process/config/rabbitmq.ts';
import { systemClock } from '../../../shared/process/system-clock.ts';
import { Access } from './access.ts';
import { LiveView } from './live-view.ts';
import { NewestFailures } from './newest-failures.ts';
import { createPageServer, type PageServer } from './page-server.ts';

// With the second until the next look, what hangs is told within 3 s.
const LOOK_DEADLINE_MS = 1_500;
/** A list is read again and again, so it may not search long. */
const LIST_BUDGET = { maxObjects: 20, maxMs: 1_000 };

export interface Page {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * The page has servers of its own to read, with deadlines of its own: a console that looks once a minute and waits 5 s must
 * not make the page late.
 * @throws ConfigurationError where it cannot listen
 */
export async function openPage(config: Config, port: number, log: Logger): Promise<Page> {
  const listening = listeningOf(config, port);
  requireTokenBeyondLoopback(listening);
  const end = new AbortController();
  const servers = new ServersRead(config, 'page', log, LOOK_DEADLINE_MS * MANAGEMENT_SHARE);
  const look = createLook(servers, config.queueName, undefined);
  const history = new RedisHistoryStore(servers.redis, config.queueName);
  const archive = createArchive(config, servers);
  const failures = new NewestFailures(async () => (await archive.stories()).list, systemClock);
  let connected: Promise<void> | undefined;
  const live: LiveView = new LiveView({
    async look() {
      // The first look would else tell of a Redis that we have not called yet.
      connected ??= servers.connectWithin(LOOK_DEADLINE_MS, end.signal);
      await connected;
      return look(LOOK_DEADLINE_MS);
    },
    ...{ history, clock: systemClock },
    isWatched: () => server.pageCount() > 0,
    onView(view) {
      server.show(view);
      if (server.pageCount() === 0) return;
      void failures.follow(view.snapshot.failed).then((news) => news && server.showFailures(news));
    },
  });
  const server: PageServer = await createPageServer({
    access: new Access(config.monitorToken === NO_TOKEN ? null : config.monitorToken),
    facts: { queue: config.queueName, rabbitmqUi: managementOf(config).url },
    ...{ history, log },
    current: () => live.current(),
    newest: () => ({ view: live.newest, failures: failures.newest }),
    teller: async () => (await archive.stories()).teller,
  });
  const close = async () => {
    if (end.signal.aborted) return;
    end.abort();
    await server.app.close();
    servers.close();
    await archive.close();
  };
  try {
    await listenAsConfigured(server.app, listening);
  } catch (error) {
    await close();
    throw error;
  }
  void live.run(end.signal);
  return { url: `http://${listening.host}:${port}`, close };
}

function listeningOf({ monitorHost: host, monitorToken: token }: Config, port: number): Listening {
  return { prefix: 'MONITOR', title: "the monitor's page", host, port, token };
}

/** S3 is not opened before somebody asks for what it holds. */
function createArchive(config: Config, { redis }: ServersRead) {
  let opened: Promise<{ objects: S3ObjectStore } & ReturnType<typeof createStories>> | undefined;
  const open = async () => {
    const objects = await createObjectStore(config);
    return { objects, ...createStories(config, redis, objects, { listBudget: LIST_BUDGET }) };
  };
  return {
    stories() {
      opened ??= open();
      return opened;
    },
    async close() {
      (await opened)?.objects.close();
    },
  };
}
