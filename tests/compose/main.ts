/**
 * `npm run test:compose`: builds the image and runs docker-compose.yml as a person would, in a project of its own,
 * and takes it down and kills parts of it under load.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCompose } from '../../scripts/servers/compose/find-compose.ts';
import { runCommand } from '../../scripts/servers/programs/run-command.ts';
import { type Counts, formatCounts, isGreen, verdictOf } from '../../scripts/test-counts.ts';
import { findProjectFolder } from '../../shared/process/environment.ts';
import { listenForShutdown } from '../../shared/process/shutdown.ts';
import { expectThat } from '../faults/expect-that.ts';
import type { AuditReport } from '../kit/audit-report.ts';
import { type Check, runChecks } from '../kit/run-checks.ts';
import { waitFor, waitUntil } from '../kit/wait-for.ts';
import { ComposeProject, docker } from './compose-project.ts';
import { checkApi, checkGrafana, checkPage, checkPrometheus } from './doors.ts';

const projectFolder = findProjectFolder();
const megabyte = 1_000_000;
/** What the image may add to its base. */
const mostMegabytes = 250;
/** Without these images all but the profiles works. */
const OF_PROFILES = /^(prom|grafana)\//;
// Slow enough for a run of 2,000 to last ten seconds, and be met in its middle.
const settings = {
  MEAN_PROCESSING_TIME: '0.5',
  FAILURE_RATE: '0.2',
  RETRY_SCHEDULE: '1s,2s,3s',
  SENDER_CONCURRENCY: '20',
};

const checks: readonly Check<ComposeProject>[] = [
  {
    sentence: 'the images that docker-compose.yml and Dockerfile name are there, or can be fetched',
    isBasis: true,
    run: fetchImages,
  },
  {
    sentence: 'the image builds',
    isBasis: true,
    run: async (project) => {
      await project.compose('build', '--build-arg', 'REVISION=0123abc', 'sender');
    },
  },
  { sentence: `the image is less than ${mostMegabytes} MB beyond its base`, run: checkSize },
  {
    sentence: 'the image holds no development dependency, no .env, no shell history and no source map',
    run: checkContents,
  },
  { sentence: 'the image tells its version and revision, and does not run as root', run: checkLabels },
  {
    sentence: 'the three commands run on a read-only file system',
    run: async ({ image }) => {
      for (const command of ['producer', 'sender', 'monitor'])
        await docker('run', '--rm', '--read-only', image, command, '--help');
    },
  },
  {
    sentence: 'up --scale sender=5 brings everything up, and all of it becomes healthy',
    isBasis: true,
    run: async (project) => {
      await project.up(5);
      expectThat((await project.containersOf('sender')).length === 5, 'there are not 5 senders');
      await waitFor('all containers to be healthy', () => project.areAllHealthy(), 120_000, undefined, 2_000);
    },
  },
  { sentence: 'every port is open on this machine only', run: checkPorts },
  {
    sentence: '1,000 SMS through 5 senders: the books balance',
    run: async (project) => {
      await project.produce(1_000, 'calm');
      await expectBalance(project, 'calm', 1_000);
    },
  },
  {
    sentence: 'an SMS over the API has its outcome; the API is unhealthy while RabbitMQ is frozen',
    run: checkApi,
  },
  { sentence: 'page and API tell the same numbers', run: checkPage },
  {
    sentence: 'the profile observability: Prometheus finds every process',
    whyNot: (project) => whyNot(project, /^prom\//),
    run: checkPrometheus,
  },
  {
    sentence: 'the profile observability: Grafana has the dashboard',
    whyNot: (project) => whyNot(project, /^grafana\//),
    run: checkGrafana,
  },
  {
    sentence: 'down and up in the middle of a run: nothing is lost',
    run: async (project) => {
      await produceAndMeet(project, 'down-up', 2_000);
      await project.compose('down');
      await project.up(5);
      await expectBalance(project, 'down-up', 2_000);
    },
  },
  {
    sentence: 'docker kill of a sender in the middle of a run: nothing is lost',
    run: async (project) => {
      await produceAndMeet(project, 'sender-killed', 2_000);
      const [victim = ''] = await project.containersOf('sender');
      await docker('kill', victim);
      await expectBalance(project, 'sender-killed', 2_000);
    },
  },
  {
    sentence: 'docker kill of RabbitMQ in the middle of a run, and up again: nothing is lost',
    run: async (project) => {
      await produceAndMeet(project, 'rabbitmq-killed', 2_000);
      const [victim = ''] = await project.containersOf('rabbitmq');
      await docker('kill', victim);
      await project.up(5);
      await expectBalance(project, 'rabbitmq-killed', 2_000);
    },
  },
  {
    sentence: 'scale_sender.sh --docker 2 in the middle of a run: two senders, nothing is lost',
    run: async (project) => {
      await produceAndMeet(project, 'scaled', 2_000);
      await scaleWithScript(project, 2);
      expectThat((await project.containersOf('sender')).length === 2, 'there are not 2 senders');
      await expectBalance(project, 'scaled', 2_000);
    },
  },
  {
    sentence: 'docker stop lets a sender drain in the middle of a run: it says so and ends with 0',
    run: checkDrain,
  },
];

const shutdown = listenForShutdown();
const compose = await findCompose();
if (compose === undefined) {
  process.stdout.write(
    `Skipped: no Docker engine with Compose (v2, or docker-compose 1.29) answers here. Start Docker and try again.\n${formatCounts(verdictOf(undefined))}\n`,
  );
} else {
  const project = await ComposeProject.create(compose, projectFolder, settings);
  let counts: Counts;
  try {
    counts = await runChecks(checks, project, shutdown);
  } finally {
    process.stderr.write('Removing what was started …\n');
    await project.remove();
  }
  process.stdout.write(`\n${formatCounts(counts)}\n`);
  process.exitCode = isGreen(counts) ? 0 : 1;
}

async function fetchImages(project: ComposeProject): Promise<void> {
  const dockerfile = readFileSync(join(projectFolder, 'Dockerfile'), 'utf8');
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image = '']) => image);
  // Compose 1.29 names the images of all profiles.
  const needed = (await imagesOf(project)).filter((name) => !OF_PROFILES.test(name));
  const missing = await notToBeFetched([...bases, ...needed]);
  expectThat(missing.length === 0, `not here, and not to be fetched: ${missing.join(', ')}`);
}

async function whyNot(project: ComposeProject, image: RegExp): Promise<string | undefined> {
  const images = await imagesOf(project, '--profile', 'observability');
  const missing = await notToBeFetched(images.filter((name) => image.test(name)));
  return missing.length === 0 ? undefined : `not to be fetched: ${missing.join(', ')}`;
}

async function imagesOf(project: ComposeProject, ...profile: string[]): Promise<string[]> {
  const composed = await project.compose(...profile, 'config');
  return [...composed.matchAll(/^\s+image: (\S+)/gm)]
    .map(([, image = '']) => image)
    .filter((image) => image !== project.image);
}

async function notToBeFetched(images: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const image of new Set(images)) {
    if ((await runCommand('docker', ['image', 'inspect', image])).code === 0) continue;
    if ((await runCommand('docker', ['pull', image])).code !== 0) missing.push(image);
  }
  return missing;
}

async function checkSize({ image }: ComposeProject): Promise<void> {
  const sizeOf = async (name: string) => Number(await docker('image', 'inspect', '-f', '{{.Size}}', name));
  const dockerfile = readFileSync(join(projectFolder, 'Dockerfile'), 'utf8');
  const base = [...dockerfile.matchAll(/^FROM (\S+)/gm)].at(-1)?.[1] ?? '';
  const megabytes = ((await sizeOf(image)) - (await sizeOf(base))) / megabyte;
  process.stdout.write(`        ${megabytes.toFixed(1)} MB beyond ${base}\n`);
  expectThat(megabytes < mostMegabytes, `it is ${megabytes.toFixed(1)} MB beyond its base`);
}

async function checkContents({ image }: ComposeProject): Promise<void> {
  // A package of the product may need what a test needs, too: the lockfile marks those that only tests need.
  const { packages: locked } = JSON.parse(readFileSync(join(projectFolder, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  const inImage = (...command: string[]) => docker('run', '--rm', '--user', '0', image, ...command);
  const packages = await inImage('sh', '-c', 'cd /app/node_modules && ls -d * @*/*');
  const development = packages.split('\n').filter((name) => locked[`node_modules/${name}`]?.dev === true);
  expectThat(development.length === 0, `development dependencies: ${development.join(', ')}`);
  // Packages bring maps of their own, public, sources.
  const stray = await inImage(
    ...['find', '/', '-xdev', '(', '-name', '.env*', '-o', '-name', '.*_history', '-o', '-name', '.npmrc'],
    ...['-o', '-path', '/app/dist/*.map', '-o', '-name', '*.test.js', '-path', '/app/dist/*', ')'],
    ...['-not', '-path', '/proc/*', '-not', '-path', '/usr/local/lib/node_modules/*'],
  );
  expectThat(stray.trim() === '', `files that do not belong there:\n${stray}`);
}

async function checkLabels({ image }: ComposeProject): Promise<void> {
  const { version } = JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8')) as {
    version: string;
  };
  const label = (name: string) => `{{index .Config.Labels "org.opencontainers.image.${name}"}}`;
  const format = `{{.Config.User}} ${label('version')} ${label('revision')}`;
  const seen = (await docker('image', 'inspect', '-f', format, image)).trim();
  expectThat(seen === `node ${version} 0123abc`, `user, version and revision are: ${seen}`);
}

async function checkPorts(project: ComposeProject): Promise<void> {
  for (const service of ['rabbitmq', 'redis', 'seaweedfs', 'sender', 'monitor', 'api']) {
    for (const container of await project.containersOf(service)) {
      const open = (await docker('port', container)).split('\n').filter((line) => line.includes(' -> '));
      const elsewhere = open.filter((line) => !line.includes(' -> 127.0.0.1:'));
      expectThat(elsewhere.length === 0, `${service}: ${elsewhere.join(', ')}`);
    }
  }
}

/** Produces, and makes sure that what comes next meets a run in its middle. */
async function produceAndMeet(project: ComposeProject, run: string, count: number): Promise<void> {
  await project.produce(count, run);
  const { accepted, inProgress } = await project.audit(run);
  expectThat(accepted === count && (inProgress ?? 0) > 0, `the run was over before its middle was met`);
}

async function expectBalance(project: ComposeProject, run: string, count: number): Promise<void> {
  const isOver = ({ accepted, inProgress, missing }: AuditReport) =>
    accepted === count && inProgress === 0 && missing === 0;
  const what = 'each SMS to have its outcome';
  const report = await waitUntil(what, () => project.audit(run), isOver, 180_000, 1_000);
  process.stdout.write(`        ${JSON.stringify(report)}\n`);
  expectThat(report.balanced && report.countersAgree === true, 'the books do not balance');
}

async function scaleWithScript(project: ComposeProject, count: number): Promise<void> {
  const { code, output } = await runCommand('./scale_sender.sh', ['--docker', String(count)], {
    cwd: projectFolder,
    env: project.environment,
  });
  expectThat(code === 0, `scale_sender.sh ended with ${code}: ${output}`);
}

async function checkDrain(project: ComposeProject): Promise<void> {
  await produceAndMeet(project, 'stopped', 2_000);
  const [container = ''] = await project.containersOf('sender');
  await docker('stop', container);
  const exitCode = (await docker('inspect', '-f', '{{.State.ExitCode}}', container)).trim();
  const log = await docker('logs', container);
  expectThat(exitCode === '0', `it ended with ${exitCode}`);
  expectThat(log.includes('"msg":"drained"'), 'it did not say that it drained');
  await expectBalance(project, 'stopped', 2_000);
}
