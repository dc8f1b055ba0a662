/** Objects in S3 follow the load and not the number of senders: few recorders work while there is little to record. */
import { afterEach, beforeEach, expect, inject, test } from 'vitest';
import { objectIdOfKey, recorderOf } from '../shared/domain/outcome/outcome-object.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';

const SENDERS = 5;

let pipeline: PipelineUnderTest;
beforeEach(() => {
  pipeline = new PipelineUnderTest(inject('servers'), 'few-recorders');
});
afterEach(() => pipeline.end());

/** The senders whose recorders have written objects, in the order of their first ones. */
async function recorders(): Promise<string[]> {
  const objectIds: string[] = [];
  for (const prefix of ['success/', 'failed/'])
    for await (const key of pipeline.objects.list(prefix)) objectIds.push(objectIdOfKey(key) ?? '');
  return [...new Set(objectIds.sort().map((objectId) => recorderOf(objectId) ?? ''))];
}

test('one of five senders records all of a small load, and another one when that one is killed', async () => {
  const senders = await Promise.all(Array.from({ length: SENDERS }, () => pipeline.startSender()));
  await pipeline.produce(200, 'before', {}, ['--rate', '80']);
  await pipeline.waitUntilDone(200);
  const [first = '', ...others] = await recorders();
  expect(others).toEqual([]);

  await senders.find(({ stdout }) => stdout.includes(`"sender":"${first}"`))?.stop('SIGKILL');
  await pipeline.produce(200, 'after', {}, ['--rate', '80']);
  await pipeline.waitUntilDone(400);
  expect(await recorders()).toHaveLength(2);
});
