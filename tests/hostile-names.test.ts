/** What others named commands no terminal: object keys, arguments, settings, names of files. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';

const pipeline = new PipelineUnderTest(inject('servers'), 'hostile');
// It would clear the screen; U+009B begins such a sequence too.
const hostile = '\u001b[2J\u009b2J\u202e';
const shown = '\\u001b[2J\\u009b2J\\u202e';

beforeAll(async () => {
  await pipeline.objects.ensureBucket();
  await pipeline.objects.put(`success/${hostile}`, Buffer.from('not of Redial'));
});
afterAll(() => pipeline.end());

test.each([
  ['an object key in an audit', 'monitor', ['--audit'], {}, 1],
  ['an object key in the JSON of an audit', 'monitor', ['--audit', '--json'], {}, 1],
  ['a run name', 'producer', ['--run', hostile], {}, 2],
  ['the name of a file', 'producer', ['--file', `${hostile}.csv`], {}, 2],
  ['an unknown flag', 'monitor', [`--${hostile}`], {}, 2],
  ['a setting', 'sender', [], { FAILURE_RATE: hostile }, 78],
] as const)('%s is shown and does nothing', async (_, command, args, settings, exitCode) => {
  const ended = await pipeline.start(command, args, settings).ended;
  const output = ended.stdout + ended.stderr;
  expect(output).not.toMatch(/[^\P{Cc}\n]|\u202e/u);
  expect([ended.exitCode, output]).toEqual([exitCode, expect.stringContaining(shown)]);
});
