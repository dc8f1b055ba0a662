/**
 * `npm run test:nodes [-- 22 24]`: runs the commands of the job `two-commands` of ci.yml, each Node.js in a fresh container
 * of its image, on a fresh clone of what is committed. The container is laid out as GitHub lays out its own.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { runCommand } from '../../scripts/servers/programs/run-command.ts';
import { addCounts, formatCounts, isGreen, verdictOf } from '../../scripts/test-counts.ts';
import { describeError } from '../../shared/errors.ts';
import { findProjectFolder } from '../../shared/process/environment.ts';
import { listenForShutdown } from '../../shared/process/shutdown.ts';
import { docker } from '../compose/compose-project.ts';
import { say } from '../kit/verdicts.ts';

const projectFolder = findProjectFolder();
const logs = join(projectFolder, '.redial', 'nodes');
const { strategy, container, steps } = readJob();
const nodes = process.argv.length > 2 ? process.argv.slice(2) : strategy.matrix.node;
const shutdown = listenForShutdown();

let counts = verdictOf(undefined);
if ((await runCommand('docker', ['info'], { timeout: 15_000 })).code !== 0) {
  say('Skipped: no Docker engine answers here. Start Docker and try again.');
} else {
  const folder = mkdtempSync(join(tmpdir(), 'redial-nodes-'));
  try {
    mkdirSync(logs, { recursive: true });
    const bundle = await bundleCommits(folder);
    for (const node of nodes) counts = addCounts(counts, verdictOf(await judgeNode(node, bundle)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  process.exitCode = isGreen(counts) ? 0 : 1;
}
say(formatCounts(counts));

function readJob() {
  const jobShape = z.object({
    strategy: z.object({ matrix: z.object({ node: z.array(z.string()) }) }),
    container: z.object({ image: z.string(), options: z.string() }),
    steps: z.array(z.object({ run: z.string().optional() })),
  });
  const text = readFileSync(join(projectFolder, '.github', 'workflows', 'ci.yml'), 'utf8');
  const { jobs } = z.object({ jobs: z.object({ 'two-commands': jobShape }) }).parse(parse(text));
  return jobs['two-commands'];
}

/** What is committed, as one file that can be cloned. */
async function bundleCommits(folder: string): Promise<string> {
  const file = join(folder, 'redial.bundle');
  const { code, output } = await runCommand('git', ['-C', projectFolder, 'bundle', 'create', file, 'HEAD']);
  if (code !== 0) throw new Error(`git bundle failed: ${output}`);
  return file;
}

/** Whether all commands succeeded with this Node.js. */
async function judgeNode(node: string, bundle: string): Promise<boolean> {
  const name = `redial-nodes-${process.pid}-${node}`;
  const remove = () => docker('rm', '--force', '--volumes', name);
  shutdown.addEventListener('abort', () => void remove().catch(() => {}), { once: true });
  try {
    shutdown.throwIfAborted();
    await startContainer(name, node, bundle);
    return await runSteps(name, node);
  } catch (error) {
    say(`FAILED  Node.js ${node}: ${shutdown.aborted ? 'interrupted' : describeError(error)}`);
    return false;
  } finally {
    await remove().catch(() => {});
  }
}

/** GitHub mounts home and checkout of its own user, and runs the steps as root. */
async function startContainer(name: string, node: string, bundle: string): Promise<void> {
  const image = container.image.replace(/\$\{\{.*\}\}/, node);
  if ((await runCommand('docker', ['image', 'inspect', image])).code !== 0) await docker('pull', image);
  await docker(
    'run',
    '-d',
    '--name',
    name,
    ...container.options.split(' '),
    image,
    'tail',
    '-f',
    '/dev/null',
  );
  await docker('cp', bundle, `${name}:/tmp/redial.bundle`);
  const script = `git clone -q /tmp/redial.bundle /__w/redial && mkdir -p /github/home && chown -R 1001 /__w /github`;
  await docker('exec', name, 'sh', '-c', script);
}

async function runSteps(name: string, node: string): Promise<boolean> {
  const log = join(logs, `${node}.log`);
  const file = openSync(log, 'w');
  const environment = ['CI=true', 'GITHUB_ACTIONS=true', 'HOME=/github/home'].flatMap((each) => ['-e', each]);
  try {
    for (const command of steps.flatMap(({ run }) => run ?? [])) {
      const startedAt = Date.now();
      const args = ['exec', ...environment, '-w', '/__w/redial', name, 'sh', '-e', '-c', command];
      const code = await runInto(file, args);
      const minutes = ((Date.now() - startedAt) / 60_000).toFixed(1);
      const lastLine = readFileSync(log, 'utf8').trimEnd().split('\n').at(-1);
      const what = `Node.js ${node}: ${command} ended with ${code} after ${minutes} min: ${lastLine}`;
      say(code === 0 ? `ok      ${what}` : `FAILED  ${what}\n        ${log}`);
      if (code !== 0) return false;
    }
  } finally {
    closeSync(file);
  }
  return true;
}

/** @returns the exit code of the command in the container */
function runInto(file: number, args: readonly string[]): Promise<number | null> {
  const child = spawn('docker', args, { stdio: ['ignore', file, file] });
  return new Promise((resolve) => {
    child.once('error', () => resolve(null));
    child.once('close', resolve);
  });
}
