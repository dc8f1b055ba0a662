/**
 * `npm run test:rabbitmq4`: the integration and the fault tests on RabbitMQ 4, then twice each fault that RabbitMQ has a
 * part in, for docs/faults-rabbitmq-4.md. `npm run test:rabbitmq4.3` does the same on RabbitMQ 4.3. `-- FILE …` runs
 * these test files only.
 */
import { findProjectFolder } from '../shared/process/environment.ts';
import { EXIT, runToExit } from '../shared/process/exit-code.ts';
import { EVERYTHING_FAULTS } from '../tests/faults/kinds/everything-faults.ts';
import { RABBITMQ_FAULTS } from '../tests/faults/kinds/rabbitmq-faults.ts';
import { ensurePrograms } from './servers/private/private-servers.ts';
import { ensureRabbitMq4, readWantedRelease } from './servers/private/rabbitmq-4.ts';
import { runVisibly } from './servers/programs/run-command.ts';

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
    ...(files.length > 0 ? [] : [['scripts/run.js', 'tests/faults/main', '--only', faultNames().join(',')]]),
  ];
  // Every step runs, also after one that failed.
  const codes: (number | null)[] = [];
  const environment = { ...process.env, REDIAL_TEST_RABBITMQ: release };
  for (const step of steps) codes.push(await runVisibly(step, projectFolder, environment));
  return codes.every((code) => code === 0) ? EXIT.done : EXIT.failed;
});

function faultNames(): string[] {
  const withRabbitMq = EVERYTHING_FAULTS.filter(({ isAloneOnRabbitMq }) => isAloneOnRabbitMq);
  return ['sender-killed', ...[...RABBITMQ_FAULTS, ...withRabbitMq].map(({ name }) => name)];
}
