import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makePrivateFolder } from '../commands/private-folder.js';
import { withFreePorts } from './free-ports.ts';
import type { RememberedPorts } from './remembered-ports.ts';
import { type PrivateServer, RestartableServer } from './restartable-server.ts';

export interface EmbeddedS3 extends PrivateServer {
  readonly endpoint: string;
  readonly port: number;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const mainFile = fileURLToPath(new URL('./embedded-s3-main.js', import.meta.url));

/** The file-backed S3 server in a process of its own. `folder` gets one folder for each bucket and nothing else. */
export async function startEmbeddedS3(options: {
  folder: string;
  logFolder: string;
  path: string;
  port?: number;
  remembered?: RememberedPorts;
}): Promise<EmbeddedS3> {
  const place = { ...options, folder: resolve(options.folder), logFolder: resolve(options.logFolder) };
  if (options.port !== undefined) return startOn(options.port, place);
  return withFreePorts(1, ([port = 0]) => startOn(port, place), options.remembered);
}

async function startOn(
  port: number,
  { folder, logFolder, path }: { folder: string; logFolder: string; path: string },
): Promise<EmbeddedS3> {
  makePrivateFolder(logFolder);
  makePrivateFolder(folder);
  const endpoint = `http://127.0.0.1:${port}`;
  const server = new RestartableServer({
    name: 'The embedded S3 server',
    command: process.execPath,
    args: ['--openssl-legacy-provider', mainFile, folder, String(port)],
    env: { PATH: path },
    folder: logFolder,
    logFile: join(logFolder, 's3.log'),
    isReady: () => answers(endpoint),
    readyWithinMs: 30_000,
    endsWithinMs: 5_000,
  });
  await server.start();
  return {
    endpoint,
    port,
    accessKeyId: 'S3RVER',
    secretAccessKey: 'S3RVER',
    get pid() {
      return server.pid;
    },
    start: () => server.start(),
    stop: (stopOptions) => server.stop(stopOptions),
  };
}

async function answers(endpoint: string): Promise<boolean> {
  try {
    await fetch(endpoint, { signal: AbortSignal.timeout(1_000) });
    return true;
  } catch {
    return false;
  }
}
