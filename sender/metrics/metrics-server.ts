/** GET /metrics, and nothing else. */
import fastify, { type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';

const IDLE_MS = 60_000;

/** Nothing listens yet. */
export function createMetricsServer(registry: Registry): FastifyInstance {
  // Prometheus keeps its connection open: it must not keep a sender from ending.
  const app = fastify({ connectionTimeout: IDLE_MS, bodyLimit: 1, forceCloseConnections: true });
  app.get('/metrics', async (_, reply) => reply.type(registry.contentType).send(await registry.metrics()));
  return app;
}
