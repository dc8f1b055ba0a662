/** The page of the monitor, and what it is made of, over HTTP. */
import type { ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import serveFiles from '@fastify/static';
import { createChannel, createSession } from 'better-sse';
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { describeError } from '../../../shared/errors.ts';
import { SnapshotMetrics } from '../../../shared/pipeline/metrics/snapshot-metrics.ts';
import type { StoryTeller } from '../../../shared/pipeline/story/story-teller.ts';
import type { HistoryStore } from '../../../shared/ports/api/history-store.ts';
import type { Logger } from '../../../shared/ports/logger.ts';
import type { Access } from './access.ts';
import type { View } from './live-view.ts';
import type { Failures } from './newest-failures.ts';

/** What does not change while the monitor runs. */
export interface PageFacts {
  /** QUEUE_NAME. */
  readonly queue: string;
  /** The management UI, without credentials. */
  readonly rabbitmqUi: string;
}

export interface PageParts {
  readonly access: Access;
  readonly facts: PageFacts;
  readonly history: HistoryStore;
  readonly log: Logger;
  /** The newest view where it is of now, else a new one. */
  readonly current: () => Promise<View>;
  readonly newest: () => { readonly view: View | undefined; readonly failures: Failures };
  readonly teller: () => Promise<StoryTeller>;
}

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};
/** What tells nothing of the pipeline, and what a browser needs to be given a token. */
const OPEN_PATHS = new Set([
  '/healthz',
  '/login',
  '/login.html',
  '/login.js',
  '/element.js',
  '/page.css',
  '/favicon.svg',
]);
const MAX_PAGES = 500;
/** A browser that does not take what it is sent. */
const MAX_BEHIND_BYTES = 1_000_000;
const SMS_ID = /^[\w.:-]{1,128}$/;

/** The pages that are open, and the server that they are open on. */
export interface PageServer {
  readonly app: FastifyInstance;
  readonly pageCount: () => number;
  readonly show: (view: View) => void;
  readonly showFailures: (failures: Failures) => void;
}

/** Nothing listens yet. */
export async function createPageServer(parts: PageParts): Promise<PageServer> {
  const app = fastify({
    bodyLimit: 4_096,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 200 },
  });
  app.setErrorHandler((error, _, reply) => answerError(reply, error, parts.log));
  app.setNotFoundHandler((_, reply) => reply.code(404).send({ problem: 'there is nothing here' }));
  guard(app, parts.access);
  await addFiles(app);
  addRoutes(app, parts);
  return { app, ...addEvents(app, parts) };
}

function guard(app: FastifyInstance, access: Access): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS);
    const { authorization, cookie, host } = request.headers;
    const path = request.url.split('?')[0] ?? '';
    const judgement = access.judge({ authorization, cookie, host });
    if (judgement === 'strange host')
      return reply.code(403).send({ problem: 'the page answers to localhost and to addresses only' });
    if (judgement === 'allowed' || OPEN_PATHS.has(path)) return undefined;
    if (path === '/') return reply.redirect('/login.html', 303);
    return reply.code(401).send({ problem: 'a token is needed: Authorization: Bearer …' });
  });
  app.post('/login', (request, reply) => {
    const { token } = (request.body ?? {}) as { token?: unknown };
    if (typeof token !== 'string' || !access.isToken(token))
      return reply.send({ problem: 'this is not the token' });
    return reply.header('set-cookie', access.cookie).send({});
  });
}

/** The page is what lies in page/, and the charts are those of uPlot: a browser gets both as they are. */
async function addFiles(app: FastifyInstance): Promise<void> {
  const uplot = dirname(fileURLToPath(import.meta.resolve('uplot')));
  await app.register(serveFiles, {
    root: fileURLToPath(new URL('./page/', import.meta.url)),
    wildcard: false,
    cacheControl: false,
  });
  for (const name of ['uPlot.esm.js', 'uPlot.min.css'])
    app.get(`/uplot/${name}`, (_, reply) => reply.sendFile(name, uplot));
}

function addRoutes(app: FastifyInstance, { facts, history, current, teller }: PageParts): void {
  const registry = new Registry();
  const metrics = new SnapshotMetrics(registry);
  collectDefaultMetrics({ register: registry });
  app.get('/healthz', () => ({ state: 'alive' }));
  app.get('/facts', () => facts);
  app.get('/snapshot', async () => (await current()).snapshot);
  app.get('/history', async () => {
    try {
      return { samples: await history.read() };
    } catch (error) {
      return { samples: [], problem: describeError(error) };
    }
  });
  app.get('/metrics', async (_, reply) => {
    metrics.set((await current()).snapshot);
    return reply.type(registry.contentType).send(await registry.metrics());
  });
  app.get<{ Params: { id: string } }>('/messages/:id', async ({ params: { id } }, reply) => {
    if (!SMS_ID.test(id)) return reply.send({ problem: 'no SMS can have this id' });
    const told = await (await teller()).tell(id);
    if (told.kind === 'story') return { story: told.story };
    return {
      problem:
        'nobody knows an SMS with this id: Redis does not, and neither do the records of the last days',
    };
  });
}

function addEvents(app: FastifyInstance, { current, newest }: PageParts): Omit<PageServer, 'app'> {
  const channel = createChannel<object, { raw: ServerResponse }>();
  app.get('/events', async (request, reply) => {
    if (channel.sessionCount >= MAX_PAGES)
      return reply.code(503).send({ problem: `${MAX_PAGES} pages are open: close some` });
    reply.hijack();
    try {
      const session = await createSession(request.raw, reply.raw, {
        ...{ headers: HEADERS, serializer: String, state: { raw: reply.raw } },
      });
      const { view, failures } = newest();
      if (view !== undefined) session.push(JSON.stringify(view), 'view');
      session.push(JSON.stringify(failures), 'failures');
      channel.register(session);
    } catch {
      // From here on nobody else answers: a request that is none must not keep its connection.
      reply.raw.destroy();
    }
    // What was read before this page came may be seconds old. The look tells all pages, this one too.
    void current().catch(() => {});
    return reply;
  });
  // Made into text once, however many pages there are.
  const tell = (value: object, name: string) => {
    const text = JSON.stringify(value);
    for (const session of channel.activeSessions) {
      if (session.state.raw.writableLength > MAX_BEHIND_BYTES) session.state.raw.destroy();
      else session.push(text, name);
    }
  };
  return {
    pageCount: () => channel.sessionCount,
    show: (view) => tell(view, 'view'),
    showFailures: (failures) => tell(failures, 'failures'),
  };
}

function answerError(reply: FastifyReply, error: unknown, log: Logger): FastifyReply {
  const { statusCode = 500 } = error as { statusCode?: number };
  // Servers that are away are told by the snapshot; what a request did wrong is told to whoever made it.
  if (statusCode >= 500) log.debug({ err: error }, 'a request of a page was not answered');
  return reply.code(statusCode >= 500 ? 503 : statusCode).send({ problem: describeError(error) });
}
