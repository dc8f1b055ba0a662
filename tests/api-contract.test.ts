/** Every route of `producer serve` against its own OpenAPI document, with requests that are made up. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { ApiContract } from './kit/api/contract.ts';
import {
  type GeneratedRequest,
  requestsFor,
  SECRET_NUMBER,
  SECRET_TEXT,
} from './kit/api/generated-requests.ts';
import { ApiUnderTest } from './kit/process/api-under-test.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { isThorough } from './kit/process/thorough.ts';

const AT_ONCE = 16;
const REQUEST_COUNT = isThorough ? 5_000 : 300;
let pipeline: PipelineUnderTest;

beforeEach(() => {
  pipeline = new PipelineUnderTest(inject('servers'), 'api-contract', { OUTCOME_BATCH_SECONDS: '0.2' });
});
afterEach(() => pipeline.end());

test(
  'whatever is asked, each answer is one that the OpenAPI document tells, and no log quotes it',
  async () => {
    const [api] = await Promise.all([ApiUnderTest.start(pipeline), pipeline.startSender()]);
    const contract = new ApiContract((await api.get('/openapi.json')).body);
    const statuses = new Map<string, number>();
    const judge = async ({ method, route, path, headers, body }: GeneratedRequest) => {
      const response = await fetch(`${api.url}${path}`, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
      });
      const { status } = response;
      const text = await response.text();
      const contentType = response.headers.get('content-type')?.split(';')[0];
      const seen = `${method} ${route} ${status}`;
      statuses.set(seen, (statuses.get(seen) ?? 0) + 1);
      const problem = contract.problemOf({ method, route, status, contentType, text });
      expect(problem, `${method} ${path}: ${text.slice(0, 300)}`).toBeUndefined();
      expect(status === 503 || status < 500, `${status} for ${method} ${path}`).toBe(true);
      expect(text).not.toMatch(/\n\s+at |node_modules/);
    };
    const seed = Number(process.env.REDIAL_TEST_SEED ?? Date.now() % 2 ** 31);
    const requests = fc.sample(requestsFor(contract.document), { numRuns: REQUEST_COUNT, seed });
    const queue = requests.values();
    const asking = Array.from({ length: AT_ONCE }, async () => {
      for (const request of queue) await judge(request);
    });
    await Promise.all(asking).catch((error: unknown) => {
      throw new Error(`with REDIAL_TEST_SEED=${seed}`, { cause: error });
    });
    const routes = Object.entries(contract.document.paths).flatMap(([route, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${route}`),
    );
    const asked = new Set([...statuses.keys()].map((seen) => seen.split(' ').slice(0, 2).join(' ')));
    expect([...asked].sort()).toEqual(routes.sort());
    expect(statuses.get('POST /messages 202')).toBeGreaterThan(0);
    const log = `${api.process.stdout}${api.process.stderr}`;
    expect(log).not.toMatch(/"level":(50|60)|"stack"/);
    for (const secret of [SECRET_TEXT, SECRET_NUMBER.slice(1)]) expect(log).not.toContain(secret);
  },
  isThorough ? 1_200_000 : 300_000,
);
