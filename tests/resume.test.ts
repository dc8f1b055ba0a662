/** A run name belongs to one input: the same one goes on, another one is refused. How it goes on after a crash: faults. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import type { ProcessEnd } from './kit/process/running-process.ts';

const servers = inject('servers');
const folder = mkdtempSync(join(tmpdir(), 'redial-resume-'));
const pipelines: PipelineUnderTest[] = [];

afterEach(async () => {
  await Promise.all(pipelines.splice(0).map((pipeline) => pipeline.end()));
});
afterAll(() => rmSync(folder, { recursive: true }));

function pipelineOf(name: string, settings: Record<string, string> = {}): PipelineUnderTest {
  const pipeline = new PipelineUnderTest(servers, name, settings);
  pipelines.push(pipeline);
  return pipeline;
}

function csv(name: string, rows: readonly string[], header = 'to,text'): string {
  const path = join(folder, name);
  writeFileSync(path, `${[header, ...rows].join('\n')}\n`);
  return path;
}

function produce(pipeline: PipelineUnderTest, ...args: string[]): Promise<ProcessEnd> {
  return pipeline.start('producer', [...args, '--json']).ended;
}

async function textsIn(pipeline: PipelineUnderTest): Promise<string[]> {
  return (await pipeline.records()).map(({ text }) => text ?? '').sort();
}

describe('a run name that is used again', () => {
  test('with another file, or without one, is refused before the first SMS, and its own input goes on', async () => {
    const pipeline = pipelineOf('used-again', { FAILURE_RATE: '0' });
    await pipeline.startSender();
    const may = csv('may.csv', ['+15550100001,Invoice', '+15550100002,Invoice']);
    expect((await produce(pipeline, '--file', may, '--run', 'may')).exitCode).toBe(0);
    await pipeline.waitUntilDone(2);

    const june = csv('june.csv', ['+15550100001,Reminder', '+15550100002,Reminder', '+15550100003,Reminder']);
    for (const args of [
      ['--file', june],
      ['--num-messages', '5'],
    ]) {
      const { exitCode, stdout, stderr } = await produce(pipeline, ...args, '--run', 'may');
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
      expect(stderr).toMatch(
        /--run may belongs to another input: 2 SMS were announced for it \(\d{4}-.* UTC\).*Nothing was sent/,
      );
      expect(stderr).not.toMatch(/1555\d/);
    }
    const again = await produce(pipeline, '--file', may, '--run', 'may');
    expect(again.exitCode).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ accepted: 2, acceptedBefore: 2, mayBeRepeated: 0 });
    expect(await textsIn(pipeline)).toEqual(['Invoice', 'Invoice']);
    expect((await pipeline.snapshot()).repeatedSends).toBe(0);
  });

  test('with a longer generated run sends what is new, and nothing twice', async () => {
    const pipeline = pipelineOf('longer', { FAILURE_RATE: '0' });
    await pipeline.startSender();
    await pipeline.produce(10, 'gen');
    await pipeline.waitUntilDone(10);
    const { stdout, stderr } = await produce(pipeline, '--num-messages', '25', '--run', 'gen');
    expect(JSON.parse(stdout)).toMatchObject({ requested: 25, accepted: 25, acceptedBefore: 10 });
    expect(stderr).toContain('run gen goes on after SMS 10');
    expect(await pipeline.waitUntilDone(25)).toMatchObject({ accepted: 25, attempts: 25, repeatedSends: 0 });
  });

  test('with other standard input is refused as soon as it is known, before the first SMS', async () => {
    const pipeline = pipelineOf('stream', { FAILURE_RATE: '0' });
    await pipeline.startSender();
    const may = csv('stream.csv', ['+15550100001,Invoice', 'bad,row', '+15550100003,Invoice']);
    expect((await produce(pipeline, '--file', may, '--run', 'may')).exitCode).toBe(1);
    await pipeline.waitUntilDone(2);
    const feed = async (text: string) => {
      const started = pipeline.start(
        'producer',
        ['--file', '-', '--run', 'may', '--json'],
        {},
        {
          stdio: 'pipe',
        },
      );
      started.child.stdin?.write(text);
      await started.says('the end of standard input');
      started.child.stdin?.end();
      return started.ended;
    };
    const other = await feed('to,text\n+15550100001,Reminder\n');
    expect(other).toMatchObject({ exitCode: 2, stdout: '' });
    const same = await feed('to,text\n+15550100001,Invoice\nbad,row\n+15550100003,Invoice\n');
    expect(same.exitCode).toBe(1);
    expect(JSON.parse(same.stdout)).toMatchObject({
      requested: 3,
      accepted: 2,
      acceptedBefore: 2,
      badLines: 1,
    });
    expect(await textsIn(pipeline)).toEqual(['Invoice', 'Invoice']);
  });
});

describe('what was sent before is said to be perhaps sent again, and the run goes on, where', () => {
  test('Redis does not answer', async () => {
    const pipeline = pipelineOf('no-redis', { REDIS_URL: 'redis://127.0.0.1:1' });
    const { exitCode, stderr, stdout } = await produce(pipeline, '--num-messages', '5', '--run', 'demo');
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(
      /run demo before, if anything was, may be sent again: Redis at 127.0.0.1:1 did not/,
    );
    expect(JSON.parse(stdout)).toMatchObject({ accepted: 5, acceptedBefore: 0, mayBeRepeated: 5 });
  });

  test('no sender has recorded it', async () => {
    const pipeline = pipelineOf('no-sender');
    await produce(pipeline, '--num-messages', '5', '--run', 'demo');
    const { exitCode, stderr } = await produce(pipeline, '--num-messages', '5', '--run', 'demo');
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(/run demo before, if anything was, may be sent again: /);
  });

  test('the sender that recorded it is gone, for what came after it', async () => {
    const pipeline = pipelineOf('gone');
    const sender = await pipeline.startSender();
    await pipeline.produce(5, 'demo');
    await pipeline.waitUntilDone(5);
    await sender.stop();
    await produce(pipeline, '--num-messages', '8', '--run', 'demo');
    const { stderr, stdout } = await produce(pipeline, '--num-messages', '10', '--run', 'demo');
    expect(stderr).toContain('run demo goes on after SMS 5');
    expect(stderr).toMatch(/may be sent again: no sender reads the journal/);
    expect(JSON.parse(stdout)).toMatchObject({ accepted: 10, acceptedBefore: 5, mayBeRepeated: 5 });
  });

  test('nothing is said of a run that has no name yet', async () => {
    const pipeline = pipelineOf('nameless', { REDIS_URL: 'redis://127.0.0.1:1' });
    const { stderr } = await produce(pipeline, '--num-messages', '5');
    expect(stderr).not.toContain('again');
  });
});
