import {
  type PrivateCluster,
  startPrivateCluster,
} from '../../../scripts/servers/private/private-cluster.ts';
import {
  type PrivateRabbitMq,
  startPrivateRabbitMq,
} from '../../../scripts/servers/private/private-rabbitmq.ts';
import {
  ensureRabbitMq4,
  findRabbitMq4,
  type RabbitMq4Release,
  readWantedRelease,
} from '../../../scripts/servers/private/rabbitmq-4.ts';
import type { ServerCertificate } from '../../../scripts/servers/private/rabbitmq-configuration.ts';
import type { RabbitMqPrograms } from '../../../scripts/servers/programs/installed-programs.ts';
import { findProjectFolder } from '../../../shared/process/environment.ts';

/**
 * A private RabbitMQ for tests: that of the machine, or with REDIAL_TEST_RABBITMQ=4 (4.3) a RabbitMQ 4 (4.3), as
 * `npm run test:rabbitmq4` does it.
 * @param maxMessageBytes what it takes in one message, where that is not the usual
 */
export function startTestedRabbitMq(folder: string, maxMessageBytes?: number): Promise<PrivateRabbitMq> {
  return startPrivateRabbitMq({ folder, maxMessageBytes, ...testedPrograms() });
}

/** The same, with TLS and without any port that does without. */
export function startTestedRabbitMqWithTls(
  folder: string,
  certificate: ServerCertificate,
): Promise<PrivateRabbitMq> {
  return startPrivateRabbitMq({ folder, certificate, ...testedPrograms() });
}

/** The same as a cluster. */
export function startTestedCluster(folder: string, size: number): Promise<PrivateCluster> {
  return startPrivateCluster({ folder, size, ...testedPrograms() });
}

/** What the tests run on, for people and the names of files: undefined for what the machine has. */
export function testedRelease(): RabbitMq4Release | undefined {
  return readWantedRelease(process.env);
}

/** Fetches the RabbitMQ 4 that is asked for, where there is none yet. */
export async function ensureTestedRabbitMq(say: (line: string) => void): Promise<void> {
  const release = testedRelease();
  if (release === undefined) return;
  const place = { projectFolder: findProjectFolder(), environment: process.env, release };
  const { server } = await ensureRabbitMq4(place, say);
  say(`RabbitMQ ${release}: ${server}`);
}

function testedPrograms(): { path: string; programs?: RabbitMqPrograms } {
  const path = process.env.PATH ?? '';
  const release = testedRelease();
  if (release === undefined) return { path };
  const programs = findRabbitMq4({ projectFolder: findProjectFolder(), environment: process.env, release });
  if (programs === undefined)
    throw new Error(
      `there is no RabbitMQ ${release} yet: REDIAL_TEST_RABBITMQ=${release} npm run test:rabbitmq4 fetches it`,
    );
  return { path, programs };
}
