/**
 * `npm run test:rabbitmq4`: the integration and the fault tests on RabbitMQ 4, then twice each fault that RabbitMQ has a
 * part in, for docs/faults-rabbitmq-4.md. `npm run test:rabbitmq4.3` does the same on RabbitMQ 4.3. `-- FILE …` runs
 * these test files only.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { findProjectFolder } from '../shared/environment.ts';
import { EXIT, runToExit } from '../shared/exit-code.ts';
import { EVERYTHING_FAULTS } from '../tests/faults/everything-faults.ts';
import { RABBITMQ_FAULTS } from '../tests/faults/rabbitmq-faults.ts';
import { ensurePrograms } from './servers/private-servers.ts';
import { ensureRabbitMq4, type RabbitMq4Release, readWantedRelease } from './servers/rabbitmq-4.ts';

const projectFolder = findProjectFolder();

await runToExit(async () => {
  const say = (line: string) => console.error(line);
  const release = readWantedRelease(process.env) ?? '4';
  await ensurePrograms(['redis'], process.env.PATH ?? '', say);
  const { server } = await ensureRabbitMq4({ projectFolder, environment: process.env, release }, say);
  say(`RabbitMQ ${release}: ${server}`);
  const files = process.argv.slice(2);
  const steps = [
    ['node_modules/vitest/vitest.mjs', 'run', '--project', 'servers', '--project', 'faults', ...files],
    ...(files.length > 0 ? [] : [['scripts/test-faults.js', '--only', faultNames().join(',')]]),
  ];
  // Every step runs, also after one that failed.
  const codes: (number | null)[] = [];
  for (const step of steps) codes.push(await run(step, release));
  return codes.every((code) => code === 0) ? EXIT.done : EXIT.failed;
});

function faultNames(): string[] {
  const withRabbitMq = EVERYTHING_FAULTS.filter(({ isAloneOnRabbitMq }) => isAloneOnRabbitMq);
  return ['sender-killed', ...[...RABBITMQ_FAULTS, ...withRabbitMq].map(({ name }) => name)];
}

function run([program = '', ...args]: readonly string[], release: RabbitMq4Release): Promise<number | null> {
  const child = spawn(process.execPath, [join(projectFolder, program), ...args], {
    cwd: projectFolder,
    env: { ...process.env, REDIAL_TEST_RABBITMQ: release },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return new Promise((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
}
