import { expectThat } from '../expect-that.ts';
import type { Fault } from '../fault.ts';

export const PRODUCER_FAULTS: readonly Fault[] = [
  {
    name: 'producer-killed',
    title: 'a producer is killed in the middle, then the same run again: nothing doubled',
    runs: 20,
    async inject(run) {
      await run.startSender();
      const producer = run.spawnProducer(['--rate', '200']);
      await run.waitForAttempts(1);
      await run.pause(0, 1_200);
      await producer.stop('SIGKILL');
      await run.produce();
    },
  },
  {
    name: 'producer-interrupted',
    title: 'a producer is interrupted by SIGINT, says how many were confirmed, then the same run again',
    runs: 10,
    isCrashFree: true,
    async inject(run) {
      await run.startSender();
      const producer = run.spawnProducer(['--rate', '200']);
      await run.waitForAttempts(5);
      await run.pause(0, 700);
      const { exitCode } = await producer.stop('SIGINT');
      expectThat(exitCode === 130, `SIGINT ended the producer with ${exitCode}: ${producer.stderr}`);
      const confirmed = /has confirmed ([\d,]+) of/.exec(producer.stderr)?.[1];
      const { accepted } = JSON.parse(producer.stdout) as { accepted: number };
      expectThat(Number(confirmed) === accepted, `it said ${confirmed}, its summary ${accepted}`);
      await run.produce();
    },
  },
  {
    name: 'run-produced-twice',
    title: 'the same run is produced twice at the same time',
    runs: 10,
    isCrashFree: true,
    async inject(run) {
      await run.startSender();
      await Promise.all([run.produce(), run.produce()]);
    },
  },
  {
    name: 'same-ids-other-content',
    title: 'the same ids with other content from another client: one outcome each, the conflicts counted',
    runs: 10,
    isCrashFree: true,
    async inject(run) {
      await run.startSender();
      const count = run.random.between(20, 60);
      await Promise.all([run.produce(), run.publishForeign(run.idsUpTo(count))]);
      run.expected.idConflicts(count);
    },
  },
];
