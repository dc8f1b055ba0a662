/**
 * Makes the pictures of the page under docs/page/: a pipeline on servers of its own, whose carrier fails for a while.
 * `npm run screenshots`
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { findProjectFolder } from '../../shared/process/environment.ts';
import { startBrowser } from '../kit/browser.ts';
import { PageUnderTest } from '../kit/process/page-under-test.ts';
import { PipelineUnderTest } from '../kit/process/pipeline-under-test.ts';
import { startTestServers } from '../kit/process/test-servers.ts';

const folder = resolve(findProjectFolder(), process.argv[2] ?? 'docs/page');
const WIDTHS = [380, 1280, 1920];
const SETTINGS = {
  MEAN_PROCESSING_TIME: '0.2',
  RETRY_SCHEDULE: '3s,8s,15s,30s',
  FAILURE_RATE: '0.1',
  SENDER_CONCURRENCY: '25',
};

mkdirSync(folder, { recursive: true });
const { servers, stop } = await startTestServers();
const pipeline = new PipelineUnderTest(servers, 'demo', SETTINGS, { queueName: 'sms' });
const browser = await startBrowser();
try {
  const senders = [await pipeline.startSender(), await pipeline.startSender()];
  const monitor = await PageUnderTest.start(pipeline);
  const producer = pipeline.start('producer', [
    '--num-messages',
    '20000',
    '--run',
    'demo',
    '--rate',
    '90',
    '--no-progress',
  ]);
  await sleep(40_000);
  await shootAll(browser, monitor.url, 'well');
  // The carrier fails: other senders take over whose attempts mostly fail.
  await Promise.all(senders.map((sender) => sender.stop()));
  await pipeline.startSender({ FAILURE_RATE: '0.9' });
  await pipeline.startSender({ FAILURE_RATE: '0.9' });
  await sleep(75_000);
  await shootAll(browser, monitor.url, 'outage');
  producer.signal('SIGKILL');
} finally {
  await browser.close();
  await pipeline.end();
  await stop();
}

async function shootAll(browser: Browser, url: string, name: string): Promise<void> {
  for (const width of WIDTHS)
    for (const scheme of ['light', 'dark'] as const) {
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme });
      await page.goto(url);
      await settled(page);
      await page.screenshot({ path: join(folder, `${name}-${width}-${scheme}.png`), fullPage: true });
      await page.close();
    }
}

/** Charts and failures are there, and the numbers have come twice. */
async function settled(page: Page): Promise<void> {
  await page.locator('#chart-waiting canvas').waitFor();
  const before = await page.locator('html').getAttribute('data-at');
  await page.locator(`html:not([data-at="${before}"])`).waitFor();
}
