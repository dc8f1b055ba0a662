import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { ServerStartError } from './server-start-error.ts';

// Below the range that the kernel gives to outgoing connections (32768 on Linux, 49152 elsewhere): a server that is
// killed and started again must find its port free, not held by a client that was given it meanwhile.
const lowestPort = 20_000;
const highestPort = 31_999;
const tries = 200;

/** Ports on 127.0.0.1 that nobody listens on, all different. */
export async function findFreePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let attempt = 0; attempt < tries && ports.size < count; attempt += 1) {
    const port = randomInt(lowestPort, highestPort + 1);
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  if (ports.size < count)
    throw new ServerStartError(
      'NOT_STARTED',
      `found no ${count} free ports between ${lowestPort} and ${highestPort}`,
    );
  return [...ports];
}

/** Starts something on fresh ports, and on others when somebody was faster. */
export async function withFreePorts<T>(
  count: number,
  start: (ports: readonly number[]) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await findFreePorts(count));
    } catch (error) {
      const isWorthAnother = error instanceof ServerStartError && error.code === 'PORT_TAKEN' && attempt < 4;
      if (!isWorthAnother) throw error;
    }
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
