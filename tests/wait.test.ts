/** `monitor --wait` ends when each SMS of a run has its outcome, and its verdicts are those of what S3 holds. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { PipelineUnderTest, type Snapshot } from './kit/process/pipeline-under-test.ts';
import { readStoredRecords } from './kit/stored-records.ts';

const DEADLINE_MS = 180_000;
const SMS_COUNT = 300;
const RUN = 'judged';

interface Told {
  readonly summary: Snapshot;
  readonly verdicts: readonly { readonly condition: string; readonly holds: boolean | null }[];
  readonly passed: boolean;
}

let pipeline: PipelineUnderTest;
beforeAll(() => {
  const settings = { RETRY_SCHEDULE: '500ms', FAILURE_RATE: '0.4' };
  pipeline = new PipelineUnderTest(inject('servers'), 'wait', settings);
});
afterAll(() => pipeline.end());

const failIf = (...conditions: string[]) => conditions.flatMap((condition) => ['--fail-if', condition]);
const wait = (...args: string[]) => pipeline.start('monitor', ['--wait', '--run', RUN, ...args]);

test('a wait for a run that begins later ends with all outcomes, and with a verdict that S3 confirms', async () => {
  const early = wait(...failIf('failed>0', 'sent<1', 'repeatedSends>0'));
  await early.says(`nothing of run "${RUN}" is counted`, DEADLINE_MS);
  await pipeline.produce(SMS_COUNT, RUN);
  // SMS wait, and nobody counts them: the wait must not take this for the end.
  await early.says('no sender is running', DEADLINE_MS);
  expect(early.hasEnded).toBe(false);
  await pipeline.startSender();
  const { exitCode, stdout, stderr } = await early.ended;

  const records = await pipeline.records();
  expect(records).toHaveLength(SMS_COUNT);
  const failed = records.filter(({ status }) => status === 'failed').length;
  expect(failed).toBeGreaterThan(10);
  expect(exitCode).toBe(99);
  expect(stderr).toContain(`failed>0 holds: failed is ${failed}\n`);
  expect(stderr).not.toMatch(/sent<1|repeatedSends/);
  expect(stdout).toContain(
    `Books balance: accepted ${SMS_COUNT} = sent ${SMS_COUNT - failed} + failed ${failed} + parked 0`,
  );
  expect(stdout).toMatch(/2nd +after 500ms +\d+/);

  const later = await wait('--json', ...failIf(`failed>${failed}`, 'missing>0')).ended;
  const told = JSON.parse(later.stdout) as Told;
  expect(later.exitCode).toBe(0);
  expect(told.passed).toBe(true);
  expect(told.verdicts.map(({ holds }) => holds)).toEqual([false, false]);
  expect(told.summary).toMatchObject({ run: RUN, accepted: SMS_COUNT, failed, inProgress: 0 });
});

test('what S3 has lost is missing', async () => {
  const lost = await readStoredRecords(pipeline.objects, ['failed/']);
  for await (const key of pipeline.objects.list('failed/')) await pipeline.objects.remove(key);
  const { exitCode, stderr } = await wait(...failIf('missing>0')).ended;
  expect(stderr).toContain(`missing>0 holds: missing is ${lost.length}\n`);
  expect(exitCode).toBe(99);
});

test('a wait that is interrupted passes no verdict, and a condition that cannot be read is wrong usage', async () => {
  const waiting = pipeline.start('monitor', ['--wait', '--run', 'never']);
  await waiting.says('nothing of run "never"', DEADLINE_MS);
  expect((await waiting.stop('SIGTERM')).exitCode).toBe(143);
  const { exitCode, stderr } = await wait(...failIf('fialed>2%')).ended;
  expect(exitCode).toBe(2);
  expect(stderr).toContain('"fialed" is not known. Known are: accepted, sent, failed');
});
