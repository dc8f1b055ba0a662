/**
 * Makes the pictures of the page: a pipeline on servers of its own, whose carrier fails for a while. `npm run screenshots`
 * makes those under docs/page/, `npm run screenshots -- FOLDER` all sizes in light and dark, to be looked at.
 */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { findProjectFolder } from '../../shared/process/environment.ts';
import { startBrowser } from '../kit/page/browser.ts';
import { PageUnderTest } from '../kit/page/page-under-test.ts';
import { PipelineUnderTest } from '../kit/process/pipeline-under-test.ts';
import { startTestServers } from '../kit/process/test-servers.ts';

const given = process.argv[2];
const folder = resolve(findProjectFolder(), given ?? 'docs/page');
const SIZES = [
  { width: 380, height: 1_240 },
  { width: 1_280, height: 1_130 },
  { width: 1_920, height: 1_400 },
];
const KEPT = new Set(['well-1280-light', 'outage-1280-light', 'outage-380-light', 'outage-1920-dark']);
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

async function shootAll(browser: Browser, url: string, moment: string): Promise<void> {
  for (const viewport of SIZES)
    for (const colorScheme of ['light', 'dark'] as const) {
      const name = `${moment}-${viewport.width}-${colorScheme}`;
      if (given === undefined && !KEPT.has(name)) continue;
      const page = await browser.newPage({ viewport, colorScheme });
      await page.goto(url);
      await settled(page);
      await page.screenshot({ path: join(folder, `${name}.png`) });
      if (given !== undefined)
        await page.screenshot({ path: join(folder, `${name}-all.png`), fullPage: true });
      await page.close();
    }
}

/** Charts and failures are there, and the numbers have come twice. */
async function settled(page: Page): Promise<void> {
  await page.locator('#chart-waiting canvas').waitFor();
  const before = await page.locator('html').getAttribute('data-at');
  await page.locator(`html:not([data-at="${before}"])`).waitFor();
}
