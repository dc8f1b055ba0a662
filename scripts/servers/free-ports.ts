import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { RememberedPorts } from './remembered-ports.ts';
import { ServerStartError } from './server-start-error.ts';

// Below the range that the kernel gives to outgoing connections (32768 on Linux, 49152 elsewhere): a server that is
// killed and started again must find its port free, not held by a client that was given it meanwhile.
const lowestPort = 20_000;
const highestPort = 31_999;
const tries = 200;

/**
 * Ports on 127.0.0.1 that nobody listens on, all different.
 * @param wanted taken at their places where they are free
 */
export async function findFreePorts(count: number, wanted: readonly number[] = []): Promise<number[]> {
  const ports: number[] = [];
  for (let place = 0; place < count; place += 1) {
    const port = await findFreePort(
      [wanted[place] ?? drawPort(), ...Array.from({ length: tries }, drawPort)],
      ports,
    );
    if (port === undefined)
      throw new ServerStartError(
        'NOT_STARTED',
        `found no ${count} free ports between ${lowestPort} and ${highestPort}`,
      );
    ports.push(port);
  }
  return ports;
}

/** This port where nobody listens on it, else another one. */
export async function findFreePortLike(wanted: number): Promise<number> {
  if (await isFree(wanted)) return wanted;
  const [other = wanted] = await findFreePorts(1);
  return other;
}

/** The first of the candidates that is in our range and free. */
async function findFreePort(
  candidates: readonly number[],
  taken: readonly number[],
): Promise<number | undefined> {
  for (const port of candidates) {
    const isInRange = Number.isInteger(port) && port >= lowestPort && port <= highestPort;
    if (isInRange && !taken.includes(port) && (await isFree(port))) return port;
  }
  return undefined;
}

function drawPort(): number {
  return randomInt(lowestPort, highestPort + 1);
}

/**
 * Starts something on free ports, and on others when somebody was faster.
 * @param remembered the ports it had are tried first, and those it gets are remembered
 */
export async function withFreePorts<T>(
  count: number,
  start: (ports: readonly number[]) => Promise<T>,
  remembered?: RememberedPorts,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const ports = await findFreePorts(count, attempt === 1 ? remembered?.recall() : []);
    try {
      const started = await start(ports);
      remembered?.keep(ports);
      return started;
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
