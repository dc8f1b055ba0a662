/** A traceparent on its way from the API, or from a client of RabbitMQ, into the records, and the spans of the processes. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, inject, test } from 'vitest';
import type { OutcomeRecord } from '../shared/domain/outcome/outcome.ts';
import type { SimulationSettings } from '../shared/domain/simulation/simulation.ts';
import { fateOf } from '../shared/pipeline/fate.ts';
import { ApiUnderTest } from './kit/process/api-under-test.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import { carrierEnvironmentOf } from './kit/process/predicted-carrier.ts';
import { publishAsClient } from './kit/rabbitmq/foreign-client.ts';
import { waitFor, waitUntil } from './kit/wait-for.ts';

const DEADLINE_MS = 180_000;
const TEST_TIMEOUT_MS = 2 * DEADLINE_MS;
const SIMULATION: SimulationSettings = {
  ...{ seed: 3, meanProcessingMs: 10, distribution: 'exponential' as const, failureRate: 0.5 },
  ...{ permanentFailureShare: 0, unknownShare: 0.2 },
};
const SCHEDULE = [200, 300, 400];
const CONTENT = { to: '+4915112345678', text: 'Hello' };
const PARENT = '00f067aa0ba902b7';
const servers = inject('servers');
let pipeline: PipelineUnderTest;
afterEach(() => pipeline.end());

function traceIdOf(number: number): string {
  return number.toString(16).padStart(32, 'a');
}

function traceparentOf(number: number): string {
  return `00-${traceIdOf(number)}-${PARENT}-01`;
}

/** Ids of SMS that are sent in their third attempt. */
function retriedIds(prefix: string, count: number): string[] {
  const ids: string[] = [];
  for (let number = 1; ids.length < count; number += 1) {
    const { status, attempts } = fateOf(
      { simulation: SIMULATION, schedule: SCHEDULE },
      `${prefix}-${number}`,
    );
    if (status === 'sent' && attempts.length === 3) ids.push(`${prefix}-${number}`);
  }
  return ids;
}

async function recordsOf(count: number): Promise<ReadonlyMap<string, OutcomeRecord>> {
  const isAll = (records: readonly OutcomeRecord[]) => records.length >= count;
  // The bucket comes with the first outcome.
  const read = () => pipeline.records().catch((): OutcomeRecord[] => []);
  const describe = (records: readonly OutcomeRecord[]) => `${records.length} records`;
  const records = await waitUntil('all records', read, isAll, DEADLINE_MS, 500, describe);
  return new Map(records.map((record) => [record.smsId, record]));
}

function createPipeline(name: string, settings: Record<string, string> = {}): void {
  pipeline = new PipelineUnderTest(servers, name, {
    ...carrierEnvironmentOf(SIMULATION, SCHEDULE),
    OUTCOME_BATCH_SECONDS: '0.2',
    ...settings,
  });
}

test(
  'the traceparent of a request stands in the record of its SMS after two retries, and one that is none is ignored',
  async () => {
    createPipeline('traceparent');
    const [single = '', bulk = '', foreign = '', broken = '', none = ''] = retriedIds('traced', 5);
    const [api] = await Promise.all([ApiUnderTest.start(pipeline), pipeline.startSender()]);
    const answers = await Promise.all([
      api.post('/messages', { ...CONTENT, id: single }, { traceparent: traceparentOf(1) }),
      api.post('/messages/bulk', [{ ...CONTENT, id: bulk }, CONTENT], { traceparent: traceparentOf(2) }),
      api.post('/messages', { ...CONTENT, id: broken }, { traceparent: '00-what-ever-01' }),
      api.post('/messages', { ...CONTENT, id: none }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([202, 200, 202, 202]);
    const ofClient = { id: foreign, traceparent: traceparentOf(3) };
    await publishAsClient(servers.rabbitmqUrl, pipeline.queueName, [ofClient]);

    const records = await recordsOf(6);
    const traceparents = [single, bulk, foreign, broken, none].map((id) => records.get(id)?.traceparent);
    expect(traceparents).toEqual([
      traceparentOf(1),
      traceparentOf(2),
      traceparentOf(3),
      undefined,
      undefined,
    ]);
    expect(records.get(single)?.attempts).toHaveLength(3);
    const unnamed = [...records.values()].find(({ smsId }) => smsId.startsWith('api-'));
    expect(unnamed?.traceparent).toBe(traceparentOf(2));
    // The story of the SMS tells it too.
    expect((await api.get(`/messages/${single}`)).body.traceparent).toBe(traceparentOf(1));
  },
  TEST_TIMEOUT_MS,
);

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly linked: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

test(
  'with an SDK one trace holds the publish and every attempt, and the record is linked to it',
  async () => {
    const spanFile = join(servers.folder, 'spans.ndjson');
    const sdk = pathToFileURL(join(import.meta.dirname, 'kit', 'traces', 'write-spans.js')).href;
    createPipeline('spans', { NODE_OPTIONS: `--import=${sdk}`, SPAN_FILE: spanFile });
    const [id = ''] = retriedIds('spans', 1);
    const [api] = await Promise.all([ApiUnderTest.start(pipeline), pipeline.startSender()]);
    await api.post('/messages', { ...CONTENT, id }, { traceparent: traceparentOf(9) });
    const spans = () =>
      existsSync(spanFile)
        ? readFileSync(spanFile, 'utf8')
            .split('\n')
            .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Span]))
        : [];
    await waitFor('the span of the record', () => spans().some(({ name }) => name === 'record'), DEADLINE_MS);

    const sent = spans().find(({ name }) => name === 'send');
    expect(sent).toMatchObject({ traceId: traceIdOf(9), parentSpanId: PARENT });
    const publishId = sent?.spanId ?? '';
    const attempts = spans().filter(({ name }) => name === 'attempt');
    expect(attempts.map(({ attributes }) => attributes['redial.attempt'])).toEqual([1, 2, 3]);
    for (const attempt of attempts)
      expect(attempt).toMatchObject({ traceId: traceIdOf(9), parentSpanId: publishId, linked: [publishId] });
    expect(spans().find(({ name }) => name === 'record')).toMatchObject({ linked: [publishId] });
    const records = await recordsOf(1);
    expect(records.get(id)?.traceparent).toBe(`00-${traceIdOf(9)}-${publishId}-01`);
    // Neither number nor text.
    expect(readFileSync(spanFile, 'utf8')).not.toMatch(/4915112345678|Hello/);
  },
  TEST_TIMEOUT_MS,
);
