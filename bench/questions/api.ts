import { once } from 'node:events';
import { request } from 'node:http';
import autocannon, { type Result } from 'autocannon';
import { findFreePorts } from '../../scripts/servers/free-ports.ts';
import type { RunningProcess } from '../../tests/kit/process/running-process.ts';
import { Measurements } from '../instruments/measurements.ts';
import { Pipeline } from '../instruments/pipeline.ts';
import { type Bench, interleave, type Question } from '../question.ts';

const CONNECTIONS = 64;
const REQUEST_COUNT = 10_000;
const WARM_UP_COUNT = 1_000;
const LINES_AT_ONCE = 1_000;
const SMS = JSON.stringify({ to: '+4915112345678', text: 'Your code is 123456' });

export const api: Question = {
  name: 'api',
  quickRounds: 1,
  title: 'How fast does the HTTP API accept?',
  method: [
    `autocannon with ${CONNECTIONS} connections: ${REQUEST_COUNT} \`POST /messages\` after ${WARM_UP_COUNT} that are not counted, to ` +
      '`producer serve`, and to a bare fastify route that publishes with amqplib and answers once that is confirmed.',
    'Bulk: one request of 1,000,000 lines of NDJSON (BENCH_BULK_COUNT changes that), from its first byte to the end of its answer. ' +
      'The memory is the most that the API ever had resident.',
    'No sender runs.',
  ],
  async ask(bench) {
    const measurements = new Measurements();
    await interleave(bench, {
      Redial: () =>
        measureSingle(bench, measurements, 'Redial', 'producer/main.js', (port) => ['serve', '--port', port]),
      'bare fastify': () =>
        measureSingle(bench, measurements, 'bare fastify', 'bench/baselines/bare-api.js', (port) => [port]),
      bulk: () => measureBulk(bench, measurements),
    });
    return measurements;
  },
};

async function withApi(
  bench: Bench,
  file: string,
  argsOf: (port: string) => readonly string[],
  use: (port: number, process: RunningProcess) => Promise<void>,
): Promise<void> {
  const pipeline = await Pipeline.open(bench, {});
  const [port = 0] = await findFreePorts(1);
  const started = pipeline.start(file, argsOf(String(port)));
  await started.says('API listens');
  await use(port, started).catch((error: unknown) => {
    throw new Error(`the API said: ${started.stdout.slice(-1_000)}${started.stderr}`, { cause: error });
  });
  await pipeline.close();
}

async function measureSingle(
  bench: Bench,
  measurements: Measurements,
  subject: string,
  file: string,
  argsOf: (port: string) => readonly string[],
): Promise<void> {
  await withApi(bench, file, argsOf, async (port, started) => {
    let endedAtMs = 0;
    const options = {
      ...{ url: `http://127.0.0.1:${port}/messages`, method: 'POST' as const, body: SMS },
      ...{ connections: CONNECTIONS, headers: { 'content-type': 'application/json' } },
    };
    const shoot = (amount: number) =>
      new Promise<Result>((resolve, reject) => {
        const shooting = autocannon({ ...options, amount }, (error, result) =>
          error === null ? resolve(result) : reject(error),
        );
        // autocannon itself ends at the next full second.
        shooting.on('response', () => {
          endedAtMs = performance.now();
        });
      });
    await shoot(WARM_UP_COUNT);
    const cpuMsBefore = started.cpuMs;
    const beganAtMs = performance.now();
    const { latency, '2xx': acceptedCount } = await shoot(REQUEST_COUNT);
    const seconds = (endedAtMs - beganAtMs) / 1_000;
    if (acceptedCount !== REQUEST_COUNT)
      throw new Error(`${acceptedCount} of ${REQUEST_COUNT} were accepted`);
    measurements.add(subject, {
      smsPerSecond: REQUEST_COUNT / seconds,
      answerP99Ms: latency.p99,
      clientCpu: ((started.cpuMs - cpuMsBefore) * 1_000) / REQUEST_COUNT,
    });
  });
}

async function measureBulk(bench: Bench, measurements: Measurements): Promise<void> {
  const smsCount = bench.isQuick ? 50_000 : Number(process.env.BENCH_BULK_COUNT ?? 1_000_000);
  await withApi(
    bench,
    'producer/main.js',
    (port) => ['serve', '--port', port],
    async (port, started) => {
      const beganAtMs = performance.now();
      const answerCount = await sendLines(port, smsCount);
      const seconds = (performance.now() - beganAtMs) / 1_000;
      if (answerCount !== smsCount) throw new Error(`${answerCount} of ${smsCount} were accepted`);
      measurements.add('bulk', {
        smsPerSecond: smsCount / seconds,
        clientCpu: (started.cpuMs * 1_000) / smsCount,
        apiMegabytes: started.highestResidentBytes() / 1e6,
      });
    },
  );
}

/** @returns how many SMS were accepted */
async function sendLines(port: number, smsCount: number): Promise<number> {
  const headers = { 'content-type': 'application/x-ndjson' };
  const sending = request({ port, host: '127.0.0.1', path: '/messages/bulk', method: 'POST', headers });
  const answered = once(sending, 'response').then(async ([response]) => {
    let answers = 0;
    let refusals = 0;
    for await (const chunk of response) {
      answers += countOf(chunk as Buffer, '\n');
      refusals += countOf(chunk as Buffer, '"error"');
    }
    return answers - refusals;
  });
  const lines = Buffer.from(`${SMS}\n`.repeat(LINES_AT_ONCE));
  for (let sent = 0; sent < smsCount; sent += LINES_AT_ONCE)
    if (
      !sending.write(
        lines.subarray(0, (lines.length / LINES_AT_ONCE) * Math.min(LINES_AT_ONCE, smsCount - sent)),
      )
    )
      await once(sending, 'drain');
  sending.end();
  return answered;
}

function countOf(chunk: Buffer, text: string): number {
  let count = 0;
  for (let at = chunk.indexOf(text); at >= 0; at = chunk.indexOf(text, at + 1)) count += 1;
  return count;
}
