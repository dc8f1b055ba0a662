/**
 * What pages cost the monitor: CPU while 0, 1 and 50 of them are open, and how soon the first view is there. Then what it costs
 * a sender to be watched.
 * `npm run measure:page`
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PageUnderTest } from '../kit/page/page-under-test.ts';
import { SeenViews } from '../kit/page/seen-views.ts';
import { PipelineUnderTest } from '../kit/process/pipeline-under-test.ts';
import { startTestServers } from '../kit/process/test-servers.ts';
import { waitFor } from '../kit/wait-for.ts';
import { measureWatched } from './watched.ts';

const MEASURED_MS = 20_000;
const SETTLED_MS = 4_000;

const { servers, stop } = await startTestServers();
const pipeline = new PipelineUnderTest(servers, 'cost', {
  RETRY_SCHEDULE: '1s,2s,4s,8s',
  MEAN_PROCESSING_TIME: '0.1',
});
try {
  await pipeline.startSender();
  const monitor = await PageUnderTest.start(pipeline);
  const first = new SeenViews(monitor.url);
  await waitFor('the first view', () => first.count > 0, 60_000, undefined, 5);
  console.log(`first view ${Date.now() - monitor.process.spawnedAtMs} ms after the monitor was started`);
  first.close();
  pipeline.start('producer', ['--num-messages', '20000', '--rate', '100', '--no-progress']);
  for (const count of [0, 1, 50]) {
    const pages = Array.from({ length: count }, () => new SeenViews(monitor.url));
    await sleep(SETTLED_MS);
    const before = { cpuMs: monitor.process.cpuMs, atMs: Date.now() };
    await sleep(MEASURED_MS);
    const share = (monitor.process.cpuMs - before.cpuMs) / (Date.now() - before.atMs);
    const views = pages.map((page) => page.count);
    for (const page of pages) page.close();
    console.log(
      `${count} pages: ${(share * 100).toFixed(1)} % of a core, ${Math.min(...views, views[0] ?? 0)} views each`,
    );
  }
  await pipeline.end();
  await measureWatched(servers);
} finally {
  await pipeline.end();
  await stop();
}
