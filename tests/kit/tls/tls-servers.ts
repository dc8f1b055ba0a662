import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { type EmbeddedS3, startEmbeddedS3 } from '../../../scripts/servers/private/embedded-s3.ts';
import type { PrivateRabbitMq } from '../../../scripts/servers/private/private-rabbitmq.ts';
import { type PrivateRedis, startPrivateRedis } from '../../../scripts/servers/private/private-redis.ts';
import type { ServerCertificate } from '../../../scripts/servers/private/rabbitmq-configuration.ts';
import { Trust } from '../../../shared/tls/trust.ts';
import { addressesOf, type ServerAddresses, startTogether } from '../process/test-servers.ts';
import { startTestedRabbitMqWithTls } from '../rabbitmq/tested-rabbitmq.ts';
import { makeCertificates, type ShownCertificates, TestAuthority } from './certificates.ts';

/** RabbitMQ with its management API, Redis and S3, which speak TLS only, and show one certificate at a time. */
export class TlsServers {
  readonly addresses: ServerAddresses & { readonly folder: string };
  readonly authority: TestAuthority;
  readonly certificates: ShownCertificates;
  readonly #shown: ServerCertificate;
  readonly #rabbitMq: PrivateRabbitMq;
  readonly #redis: PrivateRedis;
  readonly #s3: EmbeddedS3;
  readonly #stop: () => Promise<void>;

  private constructor(
    folder: string,
    made: { authority: TestAuthority; certificates: ShownCertificates; shown: ServerCertificate },
    started: { rabbitMq: PrivateRabbitMq; redis: PrivateRedis; s3: EmbeddedS3; stop(): Promise<void> },
  ) {
    this.authority = made.authority;
    this.certificates = made.certificates;
    this.#shown = made.shown;
    this.#rabbitMq = started.rabbitMq;
    this.#redis = started.redis;
    this.#s3 = started.s3;
    this.#stop = started.stop;
    this.addresses = { ...addressesOf(started.rabbitMq, started.redis, started.s3), folder };
  }

  static async start(folder: string): Promise<TlsServers> {
    const authority = await TestAuthority.create(join(folder, 'authority'), 'Redial test authority');
    const certificates = await makeCertificates(folder, authority);
    const shown = { certificateFile: join(folder, 'shown.crt'), keyFile: join(folder, 'shown.key') };
    copy(certificates.good, shown);
    const path = process.env.PATH ?? '';
    const started = await startTogether({
      rabbitMq: startTestedRabbitMqWithTls(join(folder, 'rabbitmq'), shown),
      redis: startPrivateRedis({ folder: join(folder, 'redis'), path, certificate: shown }),
      s3: startEmbeddedS3({
        folder: join(folder, 's3'),
        logFolder: join(folder, 'logs'),
        path,
        certificate: shown,
      }),
    });
    return new TlsServers(folder, { authority, certificates, shown }, started);
  }

  /** Settings that trust the authority of the good certificate. */
  get trustSettings(): Record<string, string> {
    const { certificateFile } = this.authority;
    return {
      RABBITMQ_CA_FILE: certificateFile,
      REDIS_CA_FILE: certificateFile,
      AWS_CA_BUNDLE: certificateFile,
    };
  }

  get trust(): Trust {
    return new Trust([readFileSync(this.authority.certificateFile, 'utf8')]);
  }

  /** All servers show another certificate from now on, and end the connections there are. */
  async show(certificate: ServerCertificate): Promise<void> {
    copy(certificate, this.#shown);
    await Promise.all([this.#renewRabbitMq(), this.#renewRedis(), this.#renewS3()]);
  }

  stop(): Promise<void> {
    return this.#stop();
  }

  async #renewRabbitMq(): Promise<void> {
    await this.#rabbitMq.rabbitmqctl('eval', 'ssl:clear_pem_cache().');
    await this.#rabbitMq.rabbitmqctl('close_all_connections', 'another certificate');
  }

  async #renewRedis(): Promise<void> {
    const { certificateFile, keyFile } = this.#shown;
    const redis = new Redis(this.#redis.port, { tls: { rejectUnauthorized: false } });
    try {
      await redis.config('SET', 'tls-cert-file', certificateFile, 'tls-key-file', keyFile);
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal');
    } finally {
      redis.disconnect();
    }
  }

  async #renewS3(): Promise<void> {
    await this.#s3.stop({ signal: 'SIGKILL' });
    await this.#s3.start();
  }
}

function copy(from: ServerCertificate, to: ServerCertificate): void {
  copyFileSync(from.certificateFile, to.certificateFile);
  copyFileSync(from.keyFile, to.keyFile);
}
