import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { sendRaw } from '../../tests/kit/api/raw-http.ts';
import { RecordedLog } from '../../tests/kit/recorded-log.ts';
import { type ApiParts, createApi } from './api.ts';
import { ApiMetrics } from './api-metrics.ts';

const PATIENCE = { headMs: 300, bodyMs: 600, idleMs: 5_000 };
const QUIET_MS = 20_000;
const HEAD =
  'POST /messages HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{';
const log = new RecordedLog();
let close = async () => {};
afterEach(() => close());

async function listen(): Promise<number> {
  // No request comes as far as a route.
  const parts = { metrics: new ApiMetrics(() => 0) } as ApiParts;
  const app = await createApi({ token: undefined, log, patience: PATIENCE }, parts);
  close = () => app.close();
  await app.listen({ port: 0, host: '127.0.0.1' });
  return (app.server.address() as AddressInfo).port;
}

test('a head that does not come in time is answered and cut', async () => {
  const port = await listen();
  const answer = await sendRaw(port, ['GET /healthz HTTP/1.1\r\nHost: a\r\nX'], QUIET_MS);
  expect(answer.status).toBe(408);
  expect(answer.text).toContain('urn:redial:too-slow');
});

test('a body that does not come in time is cut, and no error of ours', async () => {
  const port = await listen();
  expect(await sendRaw(port, [HEAD], QUIET_MS)).toEqual({ status: undefined, text: '' });
  expect(log.lines).toEqual([]);
});
