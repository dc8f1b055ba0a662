import { join } from 'node:path';
import type { Environment } from '../../shared/process/environment.ts';
import { startComposeServers } from './compose/compose-servers.ts';
import { findGivenServers } from './given-servers.ts';
import { ensurePrograms, startPrivateServers } from './private/private-servers.ts';
import { type RunningServers, SERVER_NAMES } from './server-addresses.ts';

/**
 * Brings up RabbitMQ, Redis and S3, each from the first place that has it: addresses in the environment, Docker
 * Compose, programs on this machine, apt-get. Never a fake broker.
 * @throws ServerUnavailableError with the commands to type when there is none
 */
export async function findServers(options: {
  projectFolder: string;
  environment: Environment;
  say: (line: string) => void;
  shutdown: AbortSignal;
}): Promise<RunningServers> {
  const { projectFolder, environment, say, shutdown } = options;
  const given = await findGivenServers(environment, say);
  const missing = SERVER_NAMES.filter((name) => given.addresses[name] === undefined);
  if (missing.length === 0) return given;

  let started = await startComposeServers({ projectFolder, wanted: missing, say, shutdown });
  if (started === undefined) {
    const path = environment.PATH ?? '';
    await ensurePrograms(missing, path, say);
    say('Starting private servers, about 10 seconds …');
    started = await startPrivateServers({ folder: join(projectFolder, '.redial'), path, wanted: missing });
  }
  return { ...started, addresses: { ...given.addresses, ...started.addresses } };
}
