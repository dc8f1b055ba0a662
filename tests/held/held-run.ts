/** One run of SMS that are held: published at once, disturbed in the middle if wished, and looked at when all are sent. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EmbeddedS3 } from '../../scripts/servers/private/embedded-s3.ts';
import type { PrivateRabbitMq } from '../../scripts/servers/private/private-rabbitmq.ts';
import type { PrivateRedis } from '../../scripts/servers/private/private-redis.ts';
import { type Lateness, latenessOfHeld } from '../kit/lateness.ts';
import { copyPrograms } from '../kit/process/checkout.ts';
import { PipelineUnderTest } from '../kit/process/pipeline-under-test.ts';
import { cpuMsOf } from '../kit/process/processes-seen.ts';
import { addressesOf } from '../kit/process/test-servers.ts';
import { manySms, publishAsClient } from '../kit/rabbitmq/foreign-client.ts';
import { ManagementApi } from '../kit/rabbitmq/management-api.ts';
import { waitFor } from '../kit/wait-for.ts';

export interface HeldServers {
  readonly rabbitMq: PrivateRabbitMq;
  readonly redis: PrivateRedis;
  readonly s3: EmbeddedS3;
  readonly folder: string;
}

export interface HeldSettings {
  readonly smsCount: number;
  readonly ahead: number;
  readonly spread: number;
  readonly senders: number;
  readonly killRabbitmq: boolean;
  readonly sendersAway: number;
}

export interface HeldResult {
  readonly accepted: number;
  readonly sent: number;
  /** Of the SMS that were due while senders ran. */
  readonly lateness: Lateness;
  /** How often an SMS came into a hold queue, in sum. */
  readonly hops: number;
  /** More than it uses with nothing to do, from the first publish to the last outcome. Undefined where it was killed. */
  readonly rabbitMqCpuMs: number | undefined;
}

const IDLE_MS = 5_000;
// Starting senders, and what has gathered in the due queue meanwhile.
const BACK_AFTER_MS = 3_000;
const DONE_WITHIN_MS = 120_000;

/** @param say told while it goes on */
export async function runHeld(
  servers: HeldServers,
  settings: HeldSettings,
  say: (line: string) => void,
): Promise<HeldResult> {
  const run = new HeldRun(servers, settings, say);
  try {
    return await run.play();
  } finally {
    await run.end();
  }
}

class HeldRun {
  readonly #rabbitMq: PrivateRabbitMq;
  readonly #settings: HeldSettings;
  readonly #say: (line: string) => void;
  readonly #pipeline: PipelineUnderTest;
  #firstDueMs = 0;
  /** Counted before RabbitMQ was killed, which forgets its counts. */
  #hopsBefore = 0;
  #away = { fromMs: 0, toMs: 0 };

  constructor(
    { rabbitMq, redis, s3, folder }: HeldServers,
    settings: HeldSettings,
    say: (line: string) => void,
  ) {
    this.#rabbitMq = rabbitMq;
    this.#settings = settings;
    this.#say = say;
    const environment = { FAILURE_RATE: '0', MEAN_PROCESSING_TIME: '0.1', SENDER_CONCURRENCY: '500' };
    const place = { programFolder: copyPrograms(join(folder, 'program')), logFolder: folder };
    const addresses = { ...addressesOf(rabbitMq, redis, s3), folder };
    this.#pipeline = new PipelineUnderTest(addresses, 'held', environment, place);
  }

  async play(): Promise<HeldResult> {
    const { smsCount, ahead, spread, killRabbitmq } = this.#settings;
    await this.#startSenders();
    const idleCpuPerMs = await this.#measureIdle();
    const [beganAtMs, cpuMsBefore] = [Date.now(), this.#cpuMs()];
    this.#firstDueMs = beganAtMs + ahead;
    const list = manySms(smsCount, 'held', (index) => ({
      acceptedAt: beganAtMs,
      notBefore: this.#firstDueMs + Math.floor((index * spread) / smsCount),
    }));
    await publishAsClient(this.#rabbitMq.amqpUrl, this.#pipeline.queueName, list);
    this.#say(`${smsCount} SMS accepted in ${Math.round((Date.now() - beganAtMs) / 100) / 10} s`);
    await this.#disturb(beganAtMs);
    await sleep(Math.max(0, this.#firstDueMs + spread - Date.now()));
    const { sent } = await this.#pipeline.waitUntilDone(smsCount, DONE_WITHIN_MS);
    const idleCpuMs = (Date.now() - beganAtMs) * idleCpuPerMs;
    const rabbitMqCpuMs = killRabbitmq ? undefined : this.#cpuMs() - cpuMsBefore - idleCpuMs;
    const records = await this.#pipeline.records();
    const hops = this.#hopsBefore + (await this.#readHops());
    const lateness = latenessOfHeld(records.filter(({ notBefore }) => !this.#wasAway(notBefore)));
    return { accepted: smsCount, sent, lateness, hops, rabbitMqCpuMs };
  }

  async end(): Promise<void> {
    await this.#pipeline.end();
  }

  #startSenders(): Promise<unknown> {
    return Promise.all(Array.from({ length: this.#settings.senders }, () => this.#pipeline.startSender()));
  }

  /** What is wished for, around the middle of the time from the first publish to the last moment. */
  async #disturb(beganAtMs: number): Promise<void> {
    const { ahead, spread, killRabbitmq, sendersAway } = this.#settings;
    const middleMs = beganAtMs + (ahead + spread) / 2;
    if (!killRabbitmq && sendersAway === 0) return;
    await sleep(Math.max(0, middleMs - sendersAway / 2 - Date.now()));
    const fromMs = Date.now();
    if (sendersAway > 0) {
      await Promise.all(this.#pipeline.processes.map((each) => each.stop('SIGTERM')));
      this.#say('no sender runs');
    }
    if (killRabbitmq) await this.#killRabbitMq();
    if (sendersAway === 0) return;
    await sleep(Math.max(0, fromMs + sendersAway - Date.now()));
    await this.#startSenders();
    this.#away = { fromMs, toMs: Date.now() + BACK_AFTER_MS };
    this.#say(`senders run again after ${Math.round((Date.now() - fromMs) / 1_000)} s`);
  }

  async #killRabbitMq(): Promise<void> {
    this.#hopsBefore += await this.#readHops();
    const killedAtMs = Date.now();
    await this.#rabbitMq.stop({ signal: 'SIGKILL' });
    await this.#rabbitMq.start();
    this.#say(`RabbitMQ was killed and answers again after ${Date.now() - killedAtMs} ms`);
  }

  #wasAway(notBefore: string | undefined): boolean {
    const dueMs = Date.parse(notBefore ?? '');
    return dueMs >= this.#away.fromMs && dueMs <= this.#away.toMs;
  }

  async #measureIdle(): Promise<number> {
    const [atMs, cpuMs] = [Date.now(), this.#cpuMs()];
    await sleep(IDLE_MS);
    return (this.#cpuMs() - cpuMs) / (Date.now() - atMs);
  }

  #cpuMs(): number {
    return cpuMsOf(this.#rabbitMq.pid ?? 0);
  }

  /** What RabbitMQ has counted since it was started. Its statistics are a second old. */
  async #readHops(): Promise<number> {
    type Counted = { name: string; message_stats?: { publish?: number } };
    const api = new ManagementApi(this.#rabbitMq.managementUrl);
    const read = async () => {
      const queues = await api.call<Counted[]>('GET', 'queues');
      return queues
        .filter(({ name }) => name.startsWith(`${this.#pipeline.queueName}.hold.`))
        .reduce((sum, { message_stats: stats }) => sum + (stats?.publish ?? 0), 0);
    };
    let seen = await read();
    await waitFor(
      'the statistics of RabbitMQ to stand still',
      async () => {
        const before = seen;
        seen = await read();
        return seen === before;
      },
      undefined,
      undefined,
      2_000,
    ).catch(() => {});
    return seen;
  }
}
