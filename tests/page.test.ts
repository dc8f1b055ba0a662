/** The page of the monitor in a browser, while SMS fail, and while servers and the monitor itself die and come back. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import axe from 'axe-core';
import { Redis } from 'ioredis';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { startPrivateRedis } from '../scripts/servers/private/private-redis.ts';
import { listenToConsole, startBrowser } from './kit/page/browser.ts';
import { PageUnderTest } from './kit/page/page-under-test.ts';
import { type SeenView, SeenViews } from './kit/page/seen-views.ts';
import { PipelineUnderTest, type Snapshot } from './kit/process/pipeline-under-test.ts';
import { startTogether } from './kit/process/test-servers.ts';
import { startTestedRabbitMq } from './kit/rabbitmq/tested-rabbitmq.ts';
import { waitFor, waitUntil } from './kit/wait-for.ts';

const DEADLINE_MS = 180_000;
const MOMENTS = 20;
const SMS_COUNT = 700;
const RUN = 'page';
const TOKEN = 'a-token-of-24-characters';
const HOSTILE = '<img src=x onerror=alert(1)>';
const folder = mkdtempSync(join(tmpdir(), 'redial-page-'));

vi.setConfig({ testTimeout: 2 * DEADLINE_MS, hookTimeout: 2 * DEADLINE_MS });

let servers: Awaited<ReturnType<typeof startServers>>;
let pipeline: PipelineUnderTest;
let monitor: PageUnderTest;
let browser: Browser;
let page: Page;
let said: string[];
let views: SeenViews;

function startServers() {
  return startTogether({
    rabbitMq: startTestedRabbitMq(join(folder, 'rabbitmq')),
    redis: startPrivateRedis({ folder: join(folder, 'redis'), path: process.env.PATH ?? '' }),
  });
}

beforeAll(async () => {
  [servers, browser] = await Promise.all([startServers(), startBrowser()]);
  const { rabbitMq, redis } = servers;
  const own = { rabbitmqUrl: rabbitMq.amqpUrl, managementUrl: rabbitMq.managementUrl, redisUrl: redis.url };
  pipeline = new PipelineUnderTest({ ...inject('servers'), ...own }, 'page', {
    ...{ FAILURE_RATE: '0.6', MEAN_PROCESSING_TIME: '0.05', RETRY_SCHEDULE: '500ms,1s,2s' },
    SENDER_CONCURRENCY: '10',
  });
  monitor = await PageUnderTest.start(pipeline);
  await pipeline.startSender();
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(DEADLINE_MS);
  said = listenToConsole(page);
  views = new SeenViews(monitor.url);
  await page.goto(monitor.url);
});

afterAll(async () => {
  views?.close();
  await browser?.close();
  await pipeline?.end();
  await servers?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What the page shows at one moment: each number by its name, null where it is a dash. */
interface Shown {
  readonly at: string;
  readonly sentence: string;
  readonly counters: Readonly<Record<string, number | null>>;
  readonly way: Readonly<Record<string, number | null>>;
}

function readShown(): Promise<Shown> {
  return page.evaluate<Shown>(`(() => {
    const numberOf = (text) => (/^[\\d,]+$/.test(text) ? Number(text.replaceAll(',', '')) : null);
    const all = (selector, name) => Object.fromEntries(
      [...document.querySelectorAll(selector)].map((each) => [each.dataset[name], numberOf(each.textContent)]),
    );
    return {
      at: document.documentElement.dataset.at ?? '',
      sentence: document.getElementById('sentence').textContent,
      counters: all('[data-number]', 'number'),
      way: all('[data-way]', 'way'),
    };
  })()`);
}

const isBannerShown = () => page.locator('#banner').isVisible();

async function msUntil(what: string, isMet: () => Promise<boolean>): Promise<number> {
  const sinceMs = Date.now();
  await waitFor(what, isMet, DEADLINE_MS, undefined, 50);
  return Date.now() - sinceMs;
}

/** Waits for another moment than this one. */
function nextShown(before: string): Promise<Shown> {
  return waitUntil('new numbers', readShown, ({ at }) => at !== before && at !== '', DEADLINE_MS, 50);
}

test(
  'every number on the page is that of the snapshot of the same moment, and no moment is impossible',
  async () => {
    const producing = pipeline.produce(SMS_COUNT, RUN, {}, ['--rate', '50']);
    let shown = await nextShown('');
    const charts = await chartPictures();
    for (let moment = 0; moment < MOMENTS; moment += 1) {
      shown = await nextShown(shown.at);
      const { snapshot, sentence } = await views.at(shown.at);
      const { accepted, sent, failed, parked, known, inProgress, queues } = snapshot;
      const waiting = queues.retry.reduce((sum, { messages }) => sum + messages, 0);
      expect(shown.sentence).toBe(sentence.text);
      expect(shown.counters).toEqual({ accepted, sent, failed, parked, inProgress, waiting });
      expect(shown.way).toMatchObject({ accepted, sent, failed, parked, ladder: waiting });
      expect(shown.way['in-flight']).toBe(inFlightIn(snapshot));
      expect(shown.way).toMatchObject({ work: queues.work, due: queues.due, journal: queues.journal });
      const inQueues = waiting + queues.high + queues.work + queues.low + queues.due;
      expect(shown.way['in-hand']).toBe(Math.max(0, inProgress - inQueues));
      for (const { attempt, delaySeconds, messages } of queues.retry)
        expect(shown.way[`retry.${attempt}.${delaySeconds < 1 ? '500ms' : `${delaySeconds}s`}`]).toBe(
          messages,
        );
      expect(accepted).toBe(sent + failed + parked + known + inProgress);
      expect(waiting + queues.work + queues.due).toBeLessThanOrEqual(inProgress + unannouncedIn(snapshot));
    }
    expect(views.mostWaiting).toBeGreaterThan(0);
    const later = await chartPictures();
    for (const [index, picture] of charts.entries()) expect(later[index]).not.toBe(picture);
    await producing;
  },
  DEADLINE_MS,
);

test('failures are listed with masked numbers, and one of them tells its whole story', async () => {
  const row = page.locator('#failures tr', { hasText: RUN }).first();
  await row.waitFor();
  expect(await row.textContent()).toMatch(/\+\d{4}…\d{4}/);
  const listed = await page.locator('#reasons .name').allTextContents();
  expect(listed.length).toBeGreaterThan(0);
  await waitFor('each reason to have its line in the chart', async () => {
    const legend = (await page.locator('#chart-reasons .u-legend').textContent()) ?? '';
    return listed.slice(0, 5).every((reason) => legend.includes(reason));
  });
  await row.locator('button').click();
  const story = page.locator('#story');
  await story.locator('tbody tr').nth(3).waitFor();
  expect(await story.textContent()).toMatch(/Statefailed.*\+\d{10,}/s);
  await page.locator('#story-id').fill('nobody-1');
  await page.keyboard.press('Enter');
  await waitFor(
    'the answer',
    async () => /nobody knows/.test((await story.textContent()) ?? ''),
    DEADLINE_MS,
  );
});

test('text of others is shown as text', async () => {
  const redis = new Redis(servers.redis.url);
  const { queueName } = pipeline;
  const [second] = await redis.time();
  await redis.hset(
    `${queueName}:reports`,
    HOSTILE,
    JSON.stringify({ host: HOSTILE, inFlight: 1, attemptsPerSecond: 2 }),
  );
  await redis.zadd(`${queueName}:alive`, Number(second), HOSTILE);
  await redis.hset(`${queueName}:troubles`, HOSTILE, HOSTILE);
  redis.disconnect();
  const row = page.locator('#senders tr', { hasText: HOSTILE });
  await row.waitFor();
  await page.locator('#problems li', { hasText: HOSTILE }).first().waitFor();
  expect(await page.locator('img').count()).toBe(0);
});

test('a hidden tab closes its stream, and opens it again when it is seen', async () => {
  const hide = (isHidden: boolean) =>
    page.evaluate(`Object.defineProperty(document, 'hidden', { value: ${isHidden}, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'))`);
  await hide(true);
  const { at } = await readShown();
  const looks = views.count;
  await waitFor('the others to be told', () => views.count > looks + 2, DEADLINE_MS);
  expect((await readShown()).at).toBe(at);
  expect(await isBannerShown()).toBe(false);
  await hide(false);
  await nextShown(at);
});

test.each(['light', 'dark'] as const)('nothing serious is found by axe in %s', async (colorScheme) => {
  await page.emulateMedia({ colorScheme });
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<{
    violations: { id: string; impact: string; nodes: { html: string }[] }[];
  }>('axe.run()');
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)).toEqual([]);
});

test.each([380, 1280, 3840])('nothing stands beyond the edge of a page of %d pixels', async (width) => {
  await page.setViewportSize({ width, height: 900 });
  await nextShown((await readShown()).at);
  expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBe(width);
});

test('what was before is drawn again by another monitor, which asks for its token', async () => {
  const other = await PageUnderTest.start(pipeline, { MONITOR_TOKEN: TOKEN });
  const headers = { authorization: `Bearer ${TOKEN}` };
  const ask = async (path: string) => fetch(`${other.url}${path}`, { headers });
  expect((await fetch(`${other.url}/snapshot`)).status).toBe(401);
  const readSamples = async () =>
    ((await (await ask('/history')).json()) as { samples: { sent: number }[] }).samples;
  // Its Redis may not be connected yet.
  const samples = await waitUntil('the hour', readSamples, ({ length }) => length > 2, DEADLINE_MS);
  expect(Math.max(...samples.map(({ sent }) => sent))).toBeGreaterThan(0);
  await page.goto(other.url);
  await page.locator('#token').fill('not-the-token-at-all');
  await page.keyboard.press('Enter');
  await page.locator('#problem', { hasText: 'this is not the token' }).waitFor();
  await page.locator('#token').fill(TOKEN);
  await page.keyboard.press('Enter');
  const legend = page.locator('#chart-rates .u-legend');
  await legend.waitFor();
  await waitFor('a rate', async () => /Sent:? *\d/.test((await legend.textContent()) ?? ''), DEADLINE_MS);
  const { sent } = (await (await ask('/snapshot')).json()) as Snapshot;
  expect(sent).toBeGreaterThan(0);
  expect(await (await ask('/metrics')).text()).toContain(`redial_sent_total ${sent}`);
  await page.goto(monitor.url);
  await nextShown('');
  // A page that is open keeps no monitor from its end.
  const watching = new SeenViews(other.url, TOKEN);
  await waitFor('the other page', () => watching.count > 0, DEADLINE_MS);
  expect((await other.process.stop()).exitCode).toBe(0);
});

test('nothing was written into the console, and nothing was refused', () => {
  expect(said).toEqual([]);
});

test(
  'a banner comes when Redis, RabbitMQ or the monitor itself dies, and goes when it is back',
  async () => {
    await page.goto(monitor.url);
    await nextShown('');
    const told: Record<string, number> = {};
    await servers.redis.stop({ signal: 'SIGKILL' });
    told.redis = await msUntil('the banner for Redis', isBannerShown);
    expect(await page.locator('#banner').textContent()).toContain('Redis does not answer');
    await servers.redis.start();
    told.redisBack = await msUntil('the banner to go', async () => !(await isBannerShown()));

    await servers.rabbitMq.stop({ signal: 'SIGKILL' });
    told.rabbitmq = await msUntil('the banner for RabbitMQ', isBannerShown);
    expect(await page.locator('#banner').textContent()).toContain('RabbitMQ does not answer');
    await servers.rabbitMq.start();
    told.rabbitmqBack = await msUntil('the banner to go', async () => !(await isBannerShown()));

    await monitor.process.stop('SIGKILL');
    told.monitor = await msUntil('the banner for the monitor', isBannerShown);
    expect(await page.locator('#banner').textContent()).toContain('The monitor does not answer');
    monitor = await PageUnderTest.start(pipeline, {}, monitor.port);
    told.monitorBack = await msUntil('the banner to go', async () => !(await isBannerShown()));
    console.info('milliseconds until the banner came and went', told);
    // A browser itself tells of each request that nobody answers.
    expect(said.filter((text) => !text.includes('net::ERR_'))).toEqual([]);
  },
  DEADLINE_MS * 2,
);

/** While the producer publishes, its announcement is behind on a busy machine. Then the snapshot itself says so. */
function unannouncedIn({ accepted, problems }: Snapshot): number {
  return problems.some((problem) => /^\d+ SMS wait/.test(problem)) ? SMS_COUNT - accepted : 0;
}

function inFlightIn({ seenSenders }: SeenView['snapshot']): number {
  return seenSenders.reduce((sum, { inFlight }) => sum + inFlight, 0);
}

function chartPictures(): Promise<string[]> {
  return page.evaluate<string[]>(
    `[...document.querySelectorAll('.charts canvas')].map((canvas) => canvas.toDataURL())`,
  );
}
