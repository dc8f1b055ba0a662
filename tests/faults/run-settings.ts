import type { PrivateRedis } from '../../scripts/servers/private/private-redis.ts';
import type { SendingRules } from '../../shared/domain/schedule/retry-schedule.ts';
import type { SimulationSettings } from '../../shared/domain/simulation/simulation.ts';
import { carrierEnvironmentOf } from '../kit/process/predicted-carrier.ts';
import type { TcpProxy } from '../kit/rabbitmq/tcp-proxy.ts';
import type { FaultServers } from './servers/fault-servers.ts';
import type { S3FaultProxy } from './servers/s3-fault-proxy.ts';

export interface RunSettings extends SendingRules {
  readonly smsCount: number;
  readonly simulation: SimulationSettings;
  readonly concurrency: number;
  /** Further settings of the environment. */
  readonly environment: Readonly<Record<string, string>>;
}

/** About two seconds of sending and half as much again of retries. */
export const DEFAULTS: RunSettings = {
  smsCount: 300,
  simulation: {
    seed: 1,
    meanProcessingMs: 25,
    distribution: 'exponential',
    failureRate: 0.3,
    permanentFailureShare: 0.1,
  },
  schedule: [200, 400],
  concurrency: 5,
  environment: {},
};

/** The ways of all processes to their servers. */
export interface Ways {
  readonly redis: PrivateRedis;
  readonly amqpProxy: TcpProxy;
  readonly redisProxy: TcpProxy;
  readonly s3Proxy: S3FaultProxy;
}

/** What leads the processes to their proxies, and what tells them of their carrier. */
export function environmentOf(
  { rabbitMq, nodes }: FaultServers,
  { amqpProxy, redisProxy, s3Proxy }: Ways,
  settings: RunSettings,
): Record<string, string> {
  const { simulation, schedule, concurrency, environment } = settings;
  return {
    RABBITMQ_URL:
      nodes?.map(({ amqpUrl }) => amqpUrl).join(',') ?? `amqp://guest:guest@127.0.0.1:${amqpProxy.port}`,
    RABBITMQ_MANAGEMENT_URL: (nodes ?? [rabbitMq]).map(({ managementUrl }) => managementUrl).join(','),
    REDIS_URL: `redis://127.0.0.1:${redisProxy.port}`,
    AWS_ENDPOINT_URL: s3Proxy.endpoint,
    ...carrierEnvironmentOf(simulation, schedule),
    ...{ RETRY_ANCHOR: settings.anchor ?? 'failure', UNKNOWN_RESULT: settings.unknownResult ?? 'retry' },
    SENDING_WINDOW: settings.window?.text ?? '',
    ...{ SENDER_CONCURRENCY: String(concurrency), OUTCOME_BATCH_SIZE: '60', OUTCOME_BATCH_SECONDS: '0.3' },
    LOG_FORMAT: 'json',
    ...environment,
  };
}
