import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../../kit/wait-for.ts';
import { expectThat } from '../expect-that.ts';
import type { Fault } from '../fault.ts';

export const REDIS_FAULTS: readonly Fault[] = [
  {
    name: 'redis-killed',
    title: 'Redis is killed under load and started again',
    runs: 10,
    async inject(run) {
      await Promise.all([run.startSender(), run.produce()]);
      await run.pause(0, 2_000);
      await run.redis.stop({ signal: 'SIGKILL' });
      await run.pause(500, 3_000);
      await run.redis.start();
    },
  },
  {
    name: 'redis-emptied',
    title: 'Redis is emptied in the middle: rebuilt from S3 while sending goes on',
    runs: 20,
    async inject(run) {
      await Promise.all([run.startSender(), run.startSender(), run.produce()]);
      await run.pause(200, 2_500);
      await run.redisCommand('FLUSHALL');
    },
  },
  {
    name: 'redis-older-data',
    title: 'Redis comes back with older data',
    runs: 10,
    async inject(run) {
      await Promise.all([run.startSender(), run.produce()]);
      const data = join(run.folder, 'redis', 'appendonlydir');
      const older = join(run.folder, 'older');
      await run.pause(200, 1_000);
      cpSync(data, older, { recursive: true });
      await run.pause(300, 1_500);
      await run.redis.stop({ signal: 'SIGKILL' });
      rmSync(data, { recursive: true });
      cpSync(older, data, { recursive: true });
      await run.redis.start();
    },
  },
  {
    name: 'redis-frozen',
    title: 'Redis is frozen for 10 to 20 s',
    runs: 10,
    async inject(run) {
      await Promise.all([run.startSender(), run.produce()]);
      await run.pause(0, 1_500);
      process.kill(run.redis.pid ?? 0, 'SIGSTOP');
      await run.pause(10_000, 20_000);
      process.kill(run.redis.pid ?? 0, 'SIGCONT');
    },
  },
  {
    name: 'redis-connections-cut',
    title: 'connections to Redis are cut every 100 ms for 5 s',
    runs: 10,
    async inject(run) {
      await Promise.all([run.startSender(), run.produce()]);
      for (let cuts = 0; cuts < 50; cuts += 1) {
        run.redisProxy.cut();
        await sleep(100);
      }
    },
  },
  {
    name: 'redis-replies-lost',
    title: 'what Redis was told is carried out, but its answers are lost',
    runs: 10,
    async inject(run) {
      await Promise.all([run.startSender(), run.produce()]);
      for (let times = 0; times < 5; times += 1) {
        run.redisProxy.holdAnswers();
        await run.pause(100, 500);
        run.redisProxy.cut();
        run.redisProxy.releaseAnswers();
        await run.pause(100, 500);
      }
    },
  },
  {
    name: 'redis-refuses-writes',
    title: 'Redis refuses writes for some seconds (its memory is full)',
    runs: 10,
    async inject(run) {
      await Promise.all([run.startSender(), run.produce()]);
      await run.pause(0, 1_500);
      await run.redisCommand('CONFIG', 'SET', 'maxmemory', '1');
      await run.pause(1_000, 5_000);
      await run.redisCommand('CONFIG', 'SET', 'maxmemory', '0');
    },
  },
  {
    name: 'redis-absent',
    title: 'Redis is not there at first: sending begins without it',
    runs: 10,
    async inject(run) {
      await run.redisProxy.close();
      const sender = await run.startSender();
      await run.produce();
      await waitFor('the SMS to leave the work queue', async () => {
        const queues = await run.queues.all();
        const work = queues.find(({ name }) => name.endsWith('.work'));
        return work?.messages === 0;
      });
      expectThat(!sender.hasEnded, 'the sender ended');
      await run.redisProxy.open();
    },
  },
];
