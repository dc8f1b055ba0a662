import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findFreePortLike, findFreePorts, withFreePorts } from './free-ports.ts';
import { rememberedPorts } from './remembered-ports.ts';
import { ServerStartError } from './server-start-error.ts';

const folder = mkdtempSync(join(tmpdir(), 'redial-ports-'));
const file = join(folder, 'ports.json');
afterAll(() => rmSync(folder, { recursive: true }));

async function occupied<Value>(port: number, work: () => Promise<Value>): Promise<Value> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ port, host: '127.0.0.1' }, resolve));
  try {
    return await work();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test('ports that were used before are taken again, and only those that somebody else has are new', async () => {
  const [first = 0, second = 0, third = 0] = await findFreePorts(3);
  expect(await findFreePorts(3, [first, second, third])).toEqual([first, second, third]);
  const ports = await occupied(second, () => findFreePorts(3, [first, second, third]));
  expect(ports).toEqual([first, expect.any(Number), third]);
  expect(new Set([...ports, second]).size).toBe(4);
});

test('a port that somebody asks for is taken where it is free, and another one where it is not', async () => {
  const [wanted = 0] = await findFreePorts(1);
  expect(await findFreePortLike(wanted)).toBe(wanted);
  const other = await occupied(wanted, () => findFreePortLike(wanted));
  expect(other).toBeGreaterThanOrEqual(20_000);
  expect(other).not.toBe(wanted);
});

test('a server gets the ports it had, and other ones once they turned out to be taken', async () => {
  const start = async (ports: readonly number[]) => ports;
  const had = await withFreePorts(2, start, rememberedPorts(file, 'redis'));
  expect(await withFreePorts(2, start, rememberedPorts(file, 'redis'))).toEqual(had);
  expect(await withFreePorts(2, start, rememberedPorts(file, 's3'))).not.toEqual(had);

  let tries = 0;
  const failOnce = async (ports: readonly number[]) => {
    tries += 1;
    if (tries === 1) throw new ServerStartError('PORT_TAKEN', 'taken');
    return ports;
  };
  const others = await withFreePorts(2, failOnce, rememberedPorts(file, 'redis'));
  expect(others.some((port) => had.includes(port))).toBe(false);
  expect(await withFreePorts(2, start, rememberedPorts(file, 'redis'))).toEqual(others);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test.each(['', '[]', '{"redis":"20001"}', '{"redis":[0,1.5,70000,null,20001]}', '{"redis":[20002,20002]}'])(
  'a file that holds %j gives no port twice and none that is no port',
  async (text) => {
    writeFileSync(file, text);
    const ports = await withFreePorts(2, async (given) => given, rememberedPorts(file, 'redis'));
    expect(new Set(ports).size).toBe(2);
    expect(ports.every((port) => port >= 20_000 && port < 32_000)).toBe(true);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ redis: ports });
  },
);
