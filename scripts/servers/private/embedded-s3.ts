import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makePrivateFolder } from '../../commands/private-folder.js';
import { withFreePorts } from '../free-ports.ts';
import { type PrivateServer, RestartableServer } from '../programs/restartable-server.ts';
import type { RememberedPorts } from '../remembered-ports.ts';
import { answersHttp } from '../server-probes.ts';
import type { ServerCertificate } from './rabbitmq-configuration.ts';

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
  remembered?: RememberedPorts;
  /** With it the port speaks TLS. */
  certificate?: ServerCertificate;
}): Promise<EmbeddedS3> {
  const { certificate } = options;
  const [folder, logFolder] = [resolve(options.folder), resolve(options.logFolder)];
  makePrivateFolder(logFolder);
  makePrivateFolder(folder);
  const startOn = async ([port = 0]: readonly number[]) => {
    const endpoint = `http${certificate === undefined ? '' : 's'}://127.0.0.1:${port}`;
    const files = certificate === undefined ? [] : [certificate.certificateFile, certificate.keyFile];
    const server = new RestartableServer({
      name: 'The embedded S3 server',
      command: process.execPath,
      args: ['--openssl-legacy-provider', mainFile, folder, String(port), ...files],
      env: { PATH: options.path },
      folder: logFolder,
      logFile: join(logFolder, 's3.log'),
      isReady: () => answersHttp(endpoint),
      readyWithinMs: 30_000,
      endsWithinMs: 5_000,
    });
    await server.start();
    return Object.assign(server, { endpoint, port, accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' });
  };
  return withFreePorts(1, startOn, options.remembered);
}
