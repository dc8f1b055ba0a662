/** A sender whose log cannot be written sends on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, expect, inject, test } from 'vitest';
import { PipelineUnderTest, StartedProcess } from './pipeline-under-test.ts';

const servers = inject('servers');
const full = () => openSync('/dev/full', 'w');
let pipeline: PipelineUnderTest;
let sender: StartedProcess | undefined;
afterEach(async () => {
  await sender?.stop('SIGKILL');
  await pipeline.end();
});

test.each([
  ['the disk of its log is full', full, 'pipe', /"the log on stdout cannot be written[^\n]*\n$/],
  ['the disks of stdout and stderr are full', full, full, /^$/],
  ['nobody reads its log any more', 'closed', 'pipe', /"the log on stdout cannot be written[^\n]*\n$/],
] as const)('a sender sends and drains when %s', async (_, stdout, stderr, told) => {
  pipeline = new PipelineUnderTest(servers, 'full-log', { LOG_LEVEL: 'debug' });
  const child = spawn(process.execPath, [join('scripts', 'commands', 'sender.js')], {
    cwd: join(import.meta.dirname, '..'),
    env: pipeline.environment,
    stdio: [
      'ignore',
      typeof stdout === 'string' ? 'pipe' : stdout(),
      typeof stderr === 'string' ? stderr : stderr(),
    ],
  });
  if (stdout === 'closed') child.stdout?.destroy();
  sender = new StartedProcess(child);
  await once(child, 'spawn');
  await pipeline.produce(200, 'unlogged');
  await pipeline.waitUntilDone(200);
  expect((await sender.stop()).exitCode).toBe(0);
  expect(sender.stderr.split('\n').filter((line) => line.includes('cannot be written')).length).toBeLessThan(
    2,
  );
  expect(sender.stderr).toMatch(told);
});

// Writes 5 MB a second for two seconds, and says on stderr how often it had its turn meanwhile.
const WRITER = `
  import { createLineOutput } from './dist/shared/process-output.js';
  const output = createLineOutput({ fileDescriptor: 1, describeGap: () => '', onTrouble: () => {} });
  let turns = 0;
  const ticking = setInterval(() => { turns += 1; output.write('x'.repeat(50_000) + '\\n'); }, 10);
  setTimeout(() => { clearInterval(ticking); process.stderr.write(String(turns)); }, 2_000);
`;

test.each([0, 10])('a process whose log is read %i times a second goes on', async (readsPerSecond) => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', WRITER], {
    cwd: join(import.meta.dirname, '..'),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.pause();
  const reading =
    readsPerSecond === 0 ? undefined : setInterval(() => child.stdout.read(), 1_000 / readsPerSecond);
  const stderr = text(child.stderr);
  await once(child, 'exit');
  clearInterval(reading);
  child.stdout.destroy();
  // Of 200 turns; a blocked process has one.
  expect(Number(await stderr)).toBeGreaterThan(60);
});
