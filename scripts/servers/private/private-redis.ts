import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { ServerUnavailableError } from '../../../shared/errors.ts';
import { makePrivateFolder } from '../../commands/private-folder.js';
import { withFreePorts } from '../free-ports.ts';
import { findProgram } from '../programs/installed-programs.ts';
import { type PrivateServer, RestartableServer } from '../programs/restartable-server.ts';
import type { RememberedPorts } from '../remembered-ports.ts';
import type { ServerCertificate } from './rabbitmq-configuration.ts';

export interface PrivateRedis extends PrivateServer {
  readonly url: string;
  readonly port: number;
}

/** A Redis of our own with its data in `folder`, appended to disk every second. */
export async function startPrivateRedis(options: {
  folder: string;
  path: string;
  port?: number;
  remembered?: RememberedPorts;
  /** Further words of its command line. */
  settings?: readonly string[];
  /** With it the port speaks TLS, and there is no other port. */
  certificate?: ServerCertificate;
}): Promise<PrivateRedis> {
  const program = findProgram('redis-server', options.path);
  if (program === undefined)
    throw new ServerUnavailableError('no redis-server was found', { isRefusal: true });
  const { path, settings = [], remembered, certificate } = options;
  const folder = resolve(options.folder);
  makePrivateFolder(folder);
  const startOn = async ([port = 0]: readonly number[]) => {
    const redis = new RestartableServer({
      name: 'Redis',
      command: program,
      args: [
        ...listenerOf(port, certificate),
        ...['--bind', '127.0.0.1', '--dir', folder],
        ...['--appendonly', 'yes', '--save', '', '--daemonize', 'no'],
        ...settings,
      ],
      env: { PATH: path, LANG: 'C.UTF-8' },
      folder,
      logFile: join(folder, 'redis.log'),
      isReady: async (pid) => isOurs(await ask(port, 'INFO', certificate !== undefined), pid),
      readyWithinMs: 30_000,
      endsWithinMs: 10_000,
    });
    await redis.start();
    return Object.assign(redis, {
      url: `redis${certificate === undefined ? '' : 's'}://127.0.0.1:${port}`,
      port,
    });
  };
  return options.port === undefined ? withFreePorts(1, startOn, remembered) : startOn([options.port]);
}

function listenerOf(port: number, certificate: ServerCertificate | undefined): string[] {
  if (certificate === undefined) return ['--port', String(port)];
  const { certificateFile, keyFile } = certificate;
  const files = ['--tls-cert-file', certificateFile, '--tls-key-file', keyFile];
  return ['--port', '0', '--tls-port', String(port), ...files, '--tls-auth-clients', 'no'];
}

/** INFO rather than PING: it also tells which process answers and whether it has read its data yet. */
function isOurs(info: string, pid: number): boolean {
  return info.includes(`process_id:${pid}\r\n`) && info.includes('\r\nloading:0\r\n');
}

/** Redis's answer to one command, as it comes over the wire; empty when there is none within a second. */
function ask(port: number, command: string, isTls: boolean): Promise<string> {
  return new Promise((resolve) => {
    const address = { host: '127.0.0.1', port };
    // Whether it is ours is told by its process id, not by its certificate.
    const socket = isTls ? connectTls({ ...address, rejectUnauthorized: false }) : connect(address);
    let answer = '';
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on(isTls ? 'secureConnect' : 'connect', () => socket.write(`${command}\r\nQUIT\r\n`));
    socket.on('data', (chunk) => {
      answer += chunk.toString('utf8');
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(answer));
  });
}
