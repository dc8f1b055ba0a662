/** What the pipeline and the API itself are doing. */
import { z } from 'zod';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import type { TypedApi } from '../api.ts';
import type { ApiMetrics } from '../api-metrics.ts';
import { problemAnswers } from '../problem.ts';
import type { NotAcceptedReason } from '../sms-intake.ts';

export interface ServerStates {
  /** Undefined where RabbitMQ takes SMS. */
  readonly rabbitmq: NotAcceptedReason | undefined;
  /** Each undefined where it answers, else what is wrong. */
  readonly redis: string | undefined;
  readonly s3: string | undefined;
}

export interface StateParts {
  takeSnapshot(run: string | undefined): Promise<Snapshot>;
  /** Why nothing can be accepted now. */
  trouble(): NotAcceptedReason | undefined;
  askServers(): Promise<ServerStates>;
  readonly metrics: ApiMetrics;
}

const serverSchema = z.object({ state: z.enum(['ok', 'away', 'alarm']), detail: z.string().optional() });
const healthSchema = z
  .object({
    state: z.enum(['ok', 'degraded', 'not-accepting']),
    servers: z.object({ rabbitmq: serverSchema, redis: serverSchema, s3: serverSchema }),
  })
  .meta({ id: 'Health' });
const statsSchema = z.record(z.string(), z.unknown()).meta({ id: 'Snapshot' });
const aliveSchema = z.object({ state: z.string() });

export function addStateRoutes(app: TypedApi, parts: StateParts): void {
  app.get(
    '/stats',
    {
      schema: {
        summary: 'The snapshot of the monitor: books, rates, queues, problems',
        querystring: z.strictObject({ run: z.string().max(64).optional() }),
        response: { 200: statsSchema, ...problemAnswers },
      },
    },
    async ({ query: { run } }) => ({ ...(await parts.takeSnapshot(run)) }),
  );
  app.get(
    '/health',
    {
      schema: {
        summary: 'Each server with its state; 503 while no SMS can be accepted',
        response: { 200: healthSchema, '4xx': problemAnswers['4xx'], 503: healthSchema },
      },
    },
    async (_, reply) => {
      const { rabbitmq, redis, s3 } = await parts.askServers();
      const isDegraded = redis !== undefined || s3 !== undefined;
      const state = rabbitmq !== undefined ? 'not-accepting' : isDegraded ? 'degraded' : 'ok';
      return reply.code(rabbitmq === undefined ? 200 : 503).send({
        state,
        servers: {
          rabbitmq: { state: rabbitmq === undefined ? 'ok' : rabbitmq === 'alarm' ? 'alarm' : 'away' },
          redis: serverState(redis),
          s3: serverState(s3),
        },
      });
    },
  );
  app.get(
    '/metrics',
    {
      schema: {
        summary: 'The snapshot and the API itself as Prometheus metrics',
        produces: ['text/plain'],
        response: {
          200: { content: { 'text/plain': { schema: z.string() } } },
          ...problemAnswers,
        },
      },
    },
    async (_, reply) => {
      const text = await parts.metrics.render(await parts.takeSnapshot(undefined));
      return reply.type(parts.metrics.contentType).send(text);
    },
  );
  app.get(
    '/healthz',
    {
      schema: { summary: 'The process lives', response: { 200: aliveSchema, '4xx': problemAnswers['4xx'] } },
    },
    async () => ({ state: 'alive' }),
  );
  app.get(
    '/readyz',
    {
      schema: {
        summary: 'An SMS can be accepted now',
        response: { 200: aliveSchema, '4xx': problemAnswers['4xx'], 503: aliveSchema },
      },
    },
    async (_, reply) => {
      const trouble = parts.trouble();
      return reply.code(trouble === undefined ? 200 : 503).send({ state: trouble ?? 'ready' });
    },
  );
}

function serverState(trouble: string | undefined): z.infer<typeof serverSchema> {
  return trouble === undefined ? { state: 'ok' } : { state: 'away', detail: trouble };
}
