/** `npm test`: format and lint, types, all tests; the last line on stdout counts what passed and failed. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeError } from '../shared/errors.ts';
import { findProjectFolder } from '../shared/process/environment.ts';
import { takesEscapes } from '../shared/process/output.ts';
import { ensureChromium } from './chromium.ts';
import { withoutDocker } from './no-docker.ts';
import { ensurePrograms } from './servers/private/private-servers.ts';
import { runVisibly } from './servers/programs/run-command.ts';
import { addCounts, type Counts, countTests, formatCounts, isGreen, verdictOf } from './test-counts.ts';

const projectFolder = findProjectFolder();
const isColoured = takesEscapes(1) && (process.env.CI ?? '') === '';

const sayLine = (line: string) => console.error(line);

// Every step runs, also after one that failed: all there is to mend is told at once.
const counts = [
  await checkThere(() =>
    ensurePrograms(
      ['rabbitmq', 'redis', 'prometheus', 'openssl', 'shellcheck'],
      process.env.PATH ?? '',
      sayLine,
    ),
  ),
  await checkThere(() => ensureChromium(process.env, sayLine)),
  await check('Format and lint', '@biomejs/biome/bin/biome', [
    'ci',
    ...(isColoured ? [] : ['--colors=off']),
    '.',
  ]),
  await check('Types', 'typescript/bin/tsc', ['--noEmit']),
  // A browser's own names are no names of Node.js.
  await check('Types of the page', 'typescript/bin/tsc', ['-p', 'tsconfig.page.json']),
  await runVitest(process.argv.slice(2)),
].reduce(addCounts);
process.stdout.write(`\n${formatCounts(counts)}\n`);
process.exitCode = isGreen(counts) ? 0 : 1;

/** What is there is no news; what is missing is a failure, never a reason to skip tests. */
async function checkThere(ensure: () => Promise<void>): Promise<Counts> {
  try {
    await ensure();
    return verdictOf(undefined);
  } catch (error) {
    console.error(describeError(error));
    return verdictOf(false);
  }
}

async function check(title: string, program: string, args: readonly string[]): Promise<Counts> {
  process.stdout.write(`\n${title}\n`);
  return verdictOf((await run(program, args)) === 0);
}

async function runVitest(args: readonly string[]): Promise<Counts> {
  process.stdout.write('\nTests\n');
  const folder = mkdtempSync(join(tmpdir(), 'redial-report-'));
  const report = join(folder, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const { path, readCalls } = withoutDocker(folder, process.env.PATH ?? '');
    const code = await run('vitest/vitest.mjs', ['run', ...reporters, ...args], { PATH: path });
    const tested = countTests(existsSync(report) ? readFileSync(report, 'utf8') : undefined, code);
    return addCounts(tested, verdictOf(readCalls().length === 0 ? undefined : sayCalls(readCalls())));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns false: a test run that depends on a Docker engine has failed */
function sayCalls(calls: readonly string[]): false {
  sayLine(`Tests asked for Docker, which npm test never uses:\n  ${calls.join('\n  ')}`);
  return false;
}

function run(
  program: string,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<number | null> {
  const { FORCE_COLOR, ...env } = process.env;
  const all = [join(projectFolder, 'node_modules', program), ...args];
  const colours = isColoured ? { FORCE_COLOR } : { NO_COLOR: '1' };
  return runVisibly(all, projectFolder, { ...env, ...colours, ...more });
}
