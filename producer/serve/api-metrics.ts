/** What the API counts of itself, beside the snapshot of the pipeline. */
import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { BUCKETS_SECONDS } from '../../shared/pipeline/metrics/buckets.ts';
import { SnapshotMetrics } from '../../shared/pipeline/metrics/snapshot-metrics.ts';

export class ApiMetrics {
  readonly #registry = new Registry();
  readonly #snapshot = new SnapshotMetrics(this.#registry);
  readonly #requests: Histogram;

  constructor(acceptedCount: () => number) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Histogram({
      name: 'redial_api_request_seconds',
      help: 'how long requests to the API took',
      labelNames: ['method', 'route', 'status'],
      buckets: [...BUCKETS_SECONDS],
      registers,
    });
    new Counter({
      name: 'redial_api_accepted_total',
      help: 'SMS that this process has accepted',
      registers,
      collect() {
        this.reset();
        this.inc(acceptedCount());
      },
    });
  }

  /** Counts every request by its route: a path would hold ids. */
  watch(app: FastifyInstance): void {
    app.addHook('onResponse', (request, reply, done) => {
      const route = request.routeOptions.url ?? 'none';
      const labels = { method: request.method, route, status: reply.statusCode };
      this.#requests.observe(labels, reply.elapsedTime / 1_000);
      done();
    });
  }

  /** All metrics as Prometheus reads them. */
  render(snapshot: Snapshot): Promise<string> {
    this.#snapshot.set(snapshot);
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}
