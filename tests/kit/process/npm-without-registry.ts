import { type SpawnSyncReturns, spawnSync } from 'node:child_process';

/** Runs npm or npx in a folder where nothing is installed. No registry can be reached, so nothing but our own code can run. */
export function runWithoutRegistry(
  command: 'npm' | 'npx',
  args: readonly string[],
  folder: string,
): SpawnSyncReturns<string> {
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    npm_config_registry: 'http://127.0.0.1:9',
    npm_config_fetch_retries: '0',
    npm_config_update_notifier: 'false',
  };
  return spawnSync(command, args, { cwd: folder, env, encoding: 'utf8' });
}
