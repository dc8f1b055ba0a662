import type { RabbitMqPrograms } from '../../scripts/servers/installed-programs.ts';
import { type PrivateCluster, startPrivateCluster } from '../../scripts/servers/private-cluster.ts';
import { type PrivateRabbitMq, startPrivateRabbitMq } from '../../scripts/servers/private-rabbitmq.ts';
import { findRabbitMq4 } from '../../scripts/servers/rabbitmq-4.ts';
import { findProjectFolder } from '../environment.ts';

/**
 * A private RabbitMQ for tests: that of the machine, or with REDIAL_TEST_RABBITMQ=4 a RabbitMQ 4, as
 * `npm run test:rabbitmq4` does it.
 * @param maxMessageBytes what it takes in one message, where that is not the usual
 */
export function startTestedRabbitMq(folder: string, maxMessageBytes?: number): Promise<PrivateRabbitMq> {
  return startPrivateRabbitMq({ folder, maxMessageBytes, ...testedPrograms() });
}

/** The same as a cluster. */
export function startTestedCluster(folder: string, size: number): Promise<PrivateCluster> {
  return startPrivateCluster({ folder, size, ...testedPrograms() });
}

/** What the tests run on, for people and the names of files: undefined for what the machine has. */
export function testedMajor(): '4' | undefined {
  const wanted = process.env.REDIAL_TEST_RABBITMQ ?? '';
  if (wanted !== '' && wanted !== '4')
    throw new Error(`REDIAL_TEST_RABBITMQ must be 4 or empty, got "${wanted}"`);
  return wanted === '4' ? '4' : undefined;
}

function testedPrograms(): { path: string; programs?: RabbitMqPrograms } {
  const path = process.env.PATH ?? '';
  if (testedMajor() === undefined) return { path };
  const programs = findRabbitMq4({ projectFolder: findProjectFolder(), environment: process.env });
  if (programs === undefined)
    throw new Error('there is no RabbitMQ 4 yet: npm run test:rabbitmq4 fetches it');
  return { path, programs };
}
