/** What processes serve as metrics: the numbers of a sender beside the truth, and all that dashboard and rules name. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { findFreePorts } from '../scripts/servers/free-ports.ts';
import { renderMetricsTable } from './kit/metrics-table.ts';
import { ApiUnderTest } from './kit/process/api-under-test.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import {
  OBSERVABILITY_FOLDER,
  PrivatePrometheus,
  prometheusProgram,
} from './kit/process/private-prometheus.ts';
import { waitUntil } from './kit/wait-for.ts';

const DEADLINE_MS = 180_000;
const TEST_TIMEOUT_MS = 2 * DEADLINE_MS;
const SMS_COUNT = 300;
const SETTINGS = { FAILURE_RATE: '0.4', UNKNOWN_SHARE: '0.2', OUTCOME_BATCH_SECONDS: '0.2' };
const servers = inject('servers');
let pipeline: PipelineUnderTest;
let prometheus: PrivatePrometheus | undefined;
afterEach(() => Promise.all([pipeline.end(), prometheus?.stop()]));

async function scrapeText(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

/** The samples of a scrape, by name and labels. */
async function scrape(port: number): Promise<ReadonlyMap<string, number>> {
  const lines = (await scrapeText(port)).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

test(
  'a sender counts what became of its SMS, and a port that is taken keeps it from nothing',
  async () => {
    pipeline = new PipelineUnderTest(servers, 'metrics', SETTINGS);
    const [port = 0] = await findFreePorts(1);
    const other = createServer().listen(port, '127.0.0.1');
    const sender = await pipeline.startSender({ METRICS_PORT: String(port) });
    await sender.says(`METRICS_PORT: cannot listen on 127.0.0.1:${port}`, DEADLINE_MS);
    await pipeline.produce(SMS_COUNT, 'counted');
    const snapshot = await pipeline.waitUntilDone(SMS_COUNT, DEADLINE_MS);
    other.close();
    await sender.says('the metrics are served', DEADLINE_MS);

    const seen = await waitUntil(
      'the last outcome',
      () => scrape(port),
      (samples) => samples.get('redial_sender_outcomes_stored_total{status="sent"}') === snapshot.sent,
      DEADLINE_MS,
    );
    const attempts = (await pipeline.records()).flatMap((record) => record.attempts);
    const ofResult = (result: string) => attempts.filter((each) => each.result === result).length;
    for (const result of ['sent', 'failed', 'unknown'])
      expect(seen.get(`redial_sender_attempts_total{result="${result}"}`)).toBe(ofResult(result));
    const retries = attempts.filter(({ attempt }) => attempt > 1);
    expect(retries.length).toBeGreaterThan(0);
    expect(Object.fromEntries(seen)).toMatchObject({
      redial_sender_retried_total: retries.length,
      redial_sender_held_total: 0,
      redial_sender_parked_total: 0,
      redial_sender_attempts_in_flight: 0,
      redial_sender_journal_unconfirmed: 0,
      redial_sender_rabbitmq_up: 1,
      'redial_sender_outcomes_stored_total{status="failed"}': snapshot.failed,
      'redial_sender_outcomes_stored_total{status="known"}': 0,
      redial_sender_processing_seconds_count: attempts.length,
      redial_sender_lateness_seconds_count: retries.length,
      'redial_sender_store_away_seconds{store="s3"}': 0,
    });
    const tookSeconds = attempts.reduce((sum, { tookMs }) => sum + tookMs, 0) / 1_000;
    expect(seen.get('redial_sender_processing_seconds_sum')).toBeCloseTo(tookSeconds, 6);

    // A connection that its reader keeps open does not keep the sender.
    expect((await sender.stop()).exitCode).toBe(0);
  },
  TEST_TIMEOUT_MS,
);

test('every alert fires when it should, and not when it should not', () => {
  const options = { cwd: join(OBSERVABILITY_FOLDER, 'prometheus'), encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(
    prometheusProgram('promtool'),
    ['test', 'rules', 'rules_test.yml'],
    options,
  );
  expect([status, stdout + stderr]).toEqual([0, expect.stringContaining('SUCCESS')]);
});

const PAGE = join(import.meta.dirname, '..', 'docs', 'metrics.md');

function withTable(page: string, table: string): string {
  const [head = '', rest = ''] = page.split('<!-- metrics: begin -->\n');
  const [, tail = ''] = rest.split('<!-- metrics: end -->');
  return `${head}<!-- metrics: begin -->\n${table}<!-- metrics: end -->${tail}`;
}

/** Each expression of the dashboard, then each of the rules. */
function expressions(): string[] {
  const read = (...path: string[]) => readFileSync(join(OBSERVABILITY_FOLDER, ...path), 'utf8');
  const dashboard = JSON.parse(read('grafana', 'dashboards', 'redial.json')) as {
    panels: { targets: { expr: string }[] }[];
  };
  const rules = read('prometheus', 'rules.yml').matchAll(/ {8}expr: (?:>-\n((?: {10}.*\n)+)|(.*))/g);
  return [
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...[...rules].map(([, folded, plain]) => folded ?? plain ?? ''),
  ];
}

test(
  'a Prometheus that reads API, monitor and sender finds every metric that dashboard and rules name',
  async () => {
    pipeline = new PipelineUnderTest(servers, 'prometheus', SETTINGS);
    const [port = 0, monitorPort = 0] = await findFreePorts(2);
    const monitor = pipeline.start('monitor', ['--port', String(monitorPort)]);
    const [api] = await Promise.all([
      ApiUnderTest.start(pipeline),
      pipeline.startSender({ METRICS_PORT: String(port) }),
      monitor.says('the page listens', DEADLINE_MS),
    ]);
    const scraped = await PrivatePrometheus.start(
      join(servers.folder, 'prometheus'),
      {
        'redial-api': new URL(api.url).host,
        'redial-monitor': `127.0.0.1:${monitorPort}`,
        'redial-sender': `127.0.0.1:${port}`,
      },
      DEADLINE_MS,
    );
    prometheus = scraped;
    await pipeline.produce(SMS_COUNT, 'scraped');

    const all = expressions();
    expect(all.length).toBeGreaterThan(40);
    const wanted = new Set(all.flatMap((each) => each.match(/\b(redial|process|nodejs)_\w+|\bup\b/g) ?? []));
    const missing = async () => {
      const names = (await scraped.query('count by (__name__) ({__name__=~".+"})')).map(
        ({ metric }) => metric,
      );
      for (const { __name__: name = '' } of names) wanted.delete(name);
      return [...wanted];
    };
    await waitUntil('all metrics', missing, (names) => names.length === 0, DEADLINE_MS, 1_000);
    // Each is an expression that a real Prometheus takes.
    for (const expression of all) await scraped.query(expression);
    const sent = await waitUntil(
      'the API and the sender to tell the same',
      () =>
        scraped.query('max(redial_sent_total) == sum(redial_sender_outcomes_stored_total{status="sent"})'),
      (series) => (series[0]?.value ?? 0) > SMS_COUNT / 2,
      DEADLINE_MS,
      500,
    );
    expect(sent).toHaveLength(1);
    await waitUntil(
      'all to be scraped',
      () => scraped.query('up{job=~"redial-(api|monitor|sender)"} == 1'),
      ({ length }) => length === 3,
      DEADLINE_MS,
      500,
    );
    expect(await scraped.query('ALERTS{alertstate="firing"}')).toEqual([]);

    const table = renderMetricsTable([(await api.get('/metrics')).body, await scrapeText(port)]);
    if (process.env.UPDATE_METRICS === '1') writeFileSync(PAGE, withTable(readFileSync(PAGE, 'utf8'), table));
    expect(readFileSync(PAGE, 'utf8')).toBe(withTable(readFileSync(PAGE, 'utf8'), table));
  },
  TEST_TIMEOUT_MS,
);
