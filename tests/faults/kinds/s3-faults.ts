import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../../kit/wait-for.ts';
import type { Fault } from '../fault.ts';
import type { FaultRun } from '../fault-run.ts';
import type { ChooseFault } from '../servers/s3-fault-proxy.ts';

async function underFault(run: FaultRun, chooseFault: ChooseFault, forMs: readonly [number, number]) {
  await Promise.all([run.startSender(), run.produce()]);
  await run.pause(0, 1_500);
  run.s3Proxy.inject(chooseFault);
  await run.pause(...forMs);
  run.s3Proxy.heal();
}

export const S3_FAULTS: readonly Fault[] = [
  {
    name: 's3-refused',
    title: 'S3 refuses connections for some seconds',
    runs: 10,
    async inject(run) {
      await Promise.all([run.startSender(), run.produce()]);
      await run.pause(0, 1_500);
      await run.s3Proxy.close();
      await run.pause(1_000, 8_000);
      await run.s3Proxy.open();
    },
  },
  {
    name: 's3-hanging',
    title: 'S3 accepts and never answers',
    runs: 10,
    inject: (run) => underFault(run, () => ({ kind: 'hang' }), [3_000, 12_000]),
  },
  {
    name: 's3-slow',
    title: 'S3 takes one to three seconds for each request',
    runs: 10,
    inject: (run) =>
      underFault(run, () => ({ kind: 'slow', delayMs: run.random.between(1_000, 3_000) }), [4_000, 8_000]),
  },
  {
    name: 's3-replies-lost',
    title: 'S3 carries puts out, but its answers are lost',
    runs: 10,
    inject: (run) => underFault(run, () => ({ kind: 'lose-reply' }), [2_000, 5_000]),
  },
  {
    name: 's3-reply-lost-and-killed',
    title: 'S3 carries a put out, its answer is lost, and the sender is killed then',
    runs: 20,
    async inject(run) {
      const sender = await run.startSender();
      let isLost = false;
      run.s3Proxy.inject((method) => {
        if (method !== 'PUT' || run.random.roll() < 0.5) return undefined;
        isLost = true;
        return { kind: 'lose-reply' };
      });
      await run.produce();
      await waitFor('an answer to be lost', () => isLost);
      await run.pause(0, 300);
      await sender.stop('SIGKILL');
      run.s3Proxy.heal();
      await run.startSender();
    },
  },
  {
    name: 's3-storm',
    title: 'S3 answers 503, 500, 429 and 403 in storms',
    runs: 10,
    inject: (run) =>
      underFault(
        run,
        () =>
          run.random.roll() < 0.7
            ? { kind: 'refuse', status: run.random.oneOf([503, 500, 429, 403]) }
            : undefined,
        [3_000, 8_000],
      ),
  },
  {
    name: 's3-cut',
    title: 'requests to S3 and its answers are cut in the middle',
    runs: 10,
    inject: (run) =>
      underFault(
        run,
        () =>
          run.random.oneOf([
            { kind: 'cut-request' },
            { kind: 'cut-reply', afterBytes: run.random.between(0, 50) },
            undefined,
          ]),
        [3_000, 6_000],
      ),
  },
  {
    name: 's3-bucket-missing',
    title: 'the bucket is deleted before the first object',
    runs: 10,
    async inject(run) {
      await run.startSender();
      rmSync(join(run.servers.folder, 's3', run.queueName), { recursive: true, force: true });
      await run.produce();
    },
  },
];
