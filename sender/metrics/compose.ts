import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { describeError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import type { Config } from '../../shared/process/config/config.ts';
import { systemClock } from '../../shared/process/system-clock.ts';
import type { SenderParts } from './sender-metrics.ts';

const LISTEN_AGAIN_MS = 5_000;

/**
 * Serves the metrics of a sender where METRICS_PORT is set. Without it, neither server nor metrics are loaded. A port that is
 * taken stops no SMS: the sender says so and tries again, because the sender before it may still be draining.
 */
export class MetricsEndpoint {
  readonly #config: Config;
  readonly #log: Logger;
  #app: FastifyInstance | undefined;
  /** Made once: default metrics watch the process from then on, and nothing stops them. */
  #registry: Registry | undefined;
  #cancelTimer: () => void = () => {};
  #isTold = false;
  #isClosed = false;

  constructor(config: Config, log: Logger) {
    this.#config = config;
    this.#log = log;
  }

  /** Its promise never rejects. */
  async start(parts: SenderParts): Promise<void> {
    const { metricsHost, metricsPort: port } = this.#config;
    if (port === undefined || this.#isClosed) return;
    const host = metricsHost.replace(/^\[|\]$/g, '');
    let app: FastifyInstance | undefined;
    try {
      const { registerSenderMetrics } = await import('./sender-metrics.ts');
      const { createMetricsServer } = await import('./metrics-server.ts');
      this.#registry ??= registerSenderMetrics(parts);
      app = createMetricsServer(this.#registry);
      await app.listen({ host, port });
      this.#app = app;
      this.#log.info({ url: `http://${metricsHost}:${port}/metrics` }, 'the metrics are served');
    } catch (error) {
      void app?.close().catch(() => {});
      if (!this.#isTold)
        this.#log.error(
          { reason: describeError(error) },
          `METRICS_PORT: cannot listen on ${metricsHost}:${port}. The sender goes on and tries again every 5 s`,
        );
      this.#isTold = true;
      if (!this.#isClosed)
        this.#cancelTimer = systemClock.after(LISTEN_AGAIN_MS, () => void this.start(parts));
    }
    if (this.#isClosed) await this.close();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTimer();
    await this.#app?.close();
  }
}
