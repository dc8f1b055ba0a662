/** Fails on what the table "who may import what" of the design forbids: it reads the sources, it runs none of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, expect, test } from 'vitest';

const project = dirname(import.meta.dirname);
const PROCESSES = ['producer', 'sender', 'monitor'];
const FOLDERS = [...PROCESSES, 'shared', 'scripts', 'tests', 'bench'];
const BASIS = ['shared/domain/', 'shared/ports/', 'shared/errors.ts'];
/** What each part may import of shared/, beside itself. The first part that holds a file counts. */
const MAY_IMPORT: readonly (readonly [part: string, targets: readonly string[]])[] = [
  ['shared/domain/', []],
  ['shared/errors.ts', []],
  ['shared/ports/', BASIS],
  ['shared/tls/', BASIS],
  ['shared/pipeline/', [...BASIS, 'shared/rehearsal/']],
  ['shared/rehearsal/', [...BASIS, 'shared/pipeline/']],
  ['shared/adapters/rabbitmq/', [...BASIS, 'shared/tls/']],
  ['shared/adapters/redis/', [...BASIS, 'shared/tls/']],
  ['shared/adapters/s3/', [...BASIS, 'shared/tls/']],
  ['shared/process/', [...BASIS, 'shared/tls/']],
  ...PROCESSES.map((name) => [`${name}/`, [...BASIS, 'shared/pipeline/', 'shared/rehearsal/']] as const),
];
/** The files that build the objects of a command: they may import all of shared/. */
const COMPOSING = /^((producer|sender|monitor)\/(main|(.+\/)?compose)|shared\/composing\/.+)\.ts$/;
/** The client of each server, and the only folder that may import it. */
const CLIENTS: Readonly<Record<string, RegExp>> = {
  'shared/adapters/rabbitmq': /^amqplib($|\/)/,
  'shared/adapters/redis': /^ioredis($|\/)/,
  'shared/adapters/s3': /^@(aws-sdk|smithy)\//,
};
/** Packages that only compute. */
const COMPUTING = new Set(['zod']);
/**
 * Where decisions meet the outside, beside the composing files: clock, chance, environment and the end of the process. What a
 * browser runs decides nothing.
 */
const OUTSIDE =
  /^(scripts|tests|bench|monitor\/views\/web\/page)\/|^shared\/(adapters\/|tls\/(trust|tls-refusal)\.ts$|process\/(environment|health-check|system-clock|exit-code|output)\.ts$)/;
const OUTSIDE_WORDS = /\b(process\.env|Date\.now\(|new Date\(\)|Math\.random\b|performance\.now\()/g;
/** Tests, and what only they are made of. */
const TEST = /\.test\.ts$|^tests\/kit\//;
const IMPORT =
  /(?:^|[\n;])\s*(?:import|export)\s(?:[^'"`;]*?\sfrom\s+)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g;

/** Everything that is wrong with one source file, each as a sentence. */
function judgeSource(path: string, source: string): string[] {
  const code = withoutComments(source);
  const isTest = TEST.test(path);
  const problems = importsOf(code).flatMap((specifier) => judgeImport(path, specifier, isTest) ?? []);
  if (/(^|\/)index\.[jt]s$/.test(path)) problems.push('is a barrel file');
  if (/\bprocess\.exit\(/.test(code) && !path.startsWith('scripts/'))
    problems.push('uses process.exit(: set process.exitCode');
  if (!isTest && !OUTSIDE.test(path) && !COMPOSING.test(path)) {
    for (const [word] of code.matchAll(OUTSIDE_WORDS)) problems.push(`uses ${word}: take it as an argument`);
  }
  return problems.map((problem) => `${path} ${problem}`);
}

function judgeImport(path: string, specifier: string, isTest: boolean): string | undefined {
  const forbidden = `must not import ${specifier}`;
  if (!specifier.startsWith('.')) return mayImportPackage(path, specifier, isTest) ? undefined : forbidden;
  const target = posix.join(posix.dirname(path), specifier);
  if (!/\.[jt]s$/.test(target)) return `${forbidden} without its ending`;
  return mayImportFile(path, target, isTest) ? undefined : forbidden;
}

function mayImportPackage(path: string, specifier: string, isTest: boolean): boolean {
  const [home] = Object.entries(CLIENTS).find(([, client]) => client.test(specifier)) ?? [];
  if (home !== undefined) return path.startsWith(`${home}/`) || /^(tests|bench|scripts)\//.test(path);
  if (isTest) return true;
  return !path.startsWith('shared/domain/') || COMPUTING.has(specifier);
}

function mayImportFile(path: string, target: string, isTest: boolean): boolean {
  const [folder = ''] = path.split('/');
  const [targetFolder = ''] = target.split('/');
  // Processes meet in the broker, Redis and S3; tests and bench start them. Only the kit is composed of their parts, and
  // npm start shows a run with the views of the monitor.
  if (path.startsWith('scripts/') && target.startsWith('monitor/views/')) return true;
  if (PROCESSES.includes(targetFolder)) return folder === targetFolder || path.startsWith('tests/kit/');
  if (!isTest && TEST.test(target)) return /^(tests|bench)\//.test(path);
  if (isTest || /^(scripts|tests|bench)\//.test(path)) return true;
  if (COMPOSING.test(path)) return targetFolder === 'shared';
  const [part, targets] = MAY_IMPORT.find(([each]) => path.startsWith(each)) ?? [];
  return part !== undefined && [part, ...(targets ?? [])].some((each) => target.startsWith(each));
}

function importsOf(code: string): string[] {
  return [...code.matchAll(IMPORT)].map(([, statement, call]) => statement ?? call ?? '');
}

// A URL in a text is not the beginning of a comment.
function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(?<![:'"`])\/\/.*$/gm, '');
}

function sourcesOf(folder: string): string[] {
  return readdirSync(join(project, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.[jt]s$/.test(name) && !name.includes('node_modules'))
    .map((name) => posix.join(folder, name));
}

const present = FOLDERS.filter((folder) => readdirSync(project).includes(folder));

test.each(present)('%s/ imports and uses only what the design allows', (folder) => {
  // This file's own samples are forbidden on purpose.
  const paths = sourcesOf(folder).filter((path) => !path.endsWith('/import-rules.test.ts'));
  expect(paths.length).toBeGreaterThan(0);
  expect(paths.flatMap((path) => judgeSource(path, readFileSync(join(project, path), 'utf8')))).toEqual([]);
});

describe('the checker catches', () => {
  test.each([
    ['a decision that reads a file', 'shared/domain/sms/sms.ts', "import { readFileSync } from 'node:fs';"],
    [
      'a decision that knows a port',
      'shared/domain/sms/sms.ts',
      "import type { Clock } from '../../ports/clock.ts';",
    ],
    ['a decision that logs', 'shared/domain/sms/sms.ts', "import { pino } from 'pino';"],
    ['an adapter that knows another', 'shared/adapters/s3/a.ts', "import { b } from '../redis/keys.ts';"],
    [
      'an adapter that configures itself',
      'shared/adapters/s3/a.ts',
      "import { c } from '../../process/config/config.ts';",
    ],
    ['an adapter with the client of another', 'shared/adapters/s3/a.ts', "import { Redis } from 'ioredis';"],
    ['a pipeline part with a client', 'sender/recording/journal.ts', "import amqp from 'amqplib';"],
    ['a pipeline part with half a client', 'monitor/a.ts', "import { a } from 'amqplib/callback_api.js';"],
    [
      'a pipeline part with the AWS SDK',
      'sender/recording/recorder.ts',
      "export { S3 } from '@aws-sdk/client-s3';",
    ],
    ['a main with a client', 'sender/main.ts', "import { Redis } from 'ioredis';"],
    ['a compose with a client', 'producer/move/compose.ts', "import amqp from 'amqplib';"],
    [
      'a compose with another process',
      'producer/move/compose.ts',
      "import { Journal } from '../../sender/recording/journal.ts';",
    ],
    ['a main with the scripts', 'sender/main.ts', "import { a } from '../scripts/servers-file.ts';"],
    ['a main with a test', 'sender/main.ts', "import { a } from '../tests/faults/fault.ts';"],
    ['a compose with the kit', 'sender/compose.ts', "import { a } from '../tests/kit/dice.ts';"],
    [
      'a pipeline part that is only called like one that composes',
      'sender/decompose.ts',
      "import { K } from '../shared/adapters/redis/keys.ts';",
    ],
    [
      'a pipeline part that logs by itself',
      'sender/a.ts',
      "import { c } from '../shared/process/logger.ts';",
    ],
    [
      'a rehearsal with an adapter',
      'shared/rehearsal/a.ts',
      "import { K } from '../adapters/redis/keys.ts';",
    ],
    ['a rehearsal with a process', 'shared/rehearsal/a.ts', "import { c } from '../../sender/compose.ts';"],
    ['a rehearsal with the real clock', 'shared/rehearsal/a.ts', 'const now = Date.now();'],
    [
      'what every main needs with an adapter',
      'shared/process/a.ts',
      "import { K } from '../adapters/redis/keys.ts';",
    ],
    [
      'what every main needs with a pipeline part',
      'shared/process/a.ts',
      "import { e } from '../pipeline/end-of.ts';",
    ],
    [
      'what explains TLS with an adapter',
      'shared/tls/a.ts',
      "import { K } from '../adapters/redis/keys.ts';",
    ],
    ['the explanation of TLS with the clock', 'shared/tls/explain-failure.ts', 'const now = Date.now();'],
    ['a port with an adapter', 'shared/ports/a.ts', "import { K } from '../adapters/redis/keys.ts';"],
    [
      'an adapter that logs by itself',
      'shared/adapters/redis/a.ts',
      "import { c } from '../../process/logger.ts';",
    ],
    [
      'a pipeline part with an adapter',
      'sender/a.ts',
      "import { K } from '../shared/adapters/redis/keys.ts';",
    ],
    [
      'a pipeline part with the configuration',
      'sender/a.ts',
      "import { c } from '../shared/process/config/config.ts';",
    ],
    [
      'a process that imports another',
      'monitor/main.ts',
      "import { Recorder } from '../sender/recording/recorder.ts';",
    ],
    ['also as a type', 'monitor/a.ts', "import type { Recorder } from '../sender/recording/recorder.ts';"],
    [
      'also over several lines',
      'monitor/a.ts',
      "import {\n  Recorder,\n} from '../sender/recording/recorder.ts';",
    ],
    ['also when it is called', 'monitor/a.ts', "const a = await import('../sender/recording/recorder.ts');"],
    ['also for its effects only', 'monitor/a.ts', "import '../sender/main.ts';"],
    ['also in a test', 'monitor/a.test.ts', "import { Recorder } from '../sender/recording/recorder.ts';"],
    ['an end-to-end test that imports a process', 'tests/a.test.ts', "import '../sender/main.ts';"],
    ['a script that reads for the monitor', 'scripts/a.ts', "import '../monitor/audit/audit.ts';"],
    [
      'shared code that knows a process',
      'shared/a.ts',
      "import { a } from '../sender/recording/journal.ts';",
    ],
    [
      'shared code that knows an adapter',
      'shared/a.ts',
      "import { K } from '../shared/adapters/redis/keys.ts';",
    ],
    ['shared code that knows the scripts', 'shared/a.ts', "import { a } from '../scripts/servers-file.ts';"],
    [
      'a shared pipeline part with an adapter',
      'shared/pipeline/archive/a.ts',
      "import { K } from '../../adapters/redis/keys.ts';",
    ],
    [
      'a shared pipeline part with the configuration',
      'shared/pipeline/archive/a.ts',
      "import { c } from '../../process/config/config.ts';",
    ],
    [
      'a shared pipeline part with a client',
      'shared/pipeline/archive/a.ts',
      "import { S3 } from '@aws-sdk/client-s3';",
    ],
    [
      'an adapter with a pipeline part',
      'shared/adapters/s3/a.ts',
      "import { r } from '../../pipeline/archive/read-ahead.ts';",
    ],
    ['a fake in the product', 'sender/a.ts', "import { f } from '../tests/kit/fakes.ts';"],
    ['an import without its ending', 'sender/a.ts', "import { a } from './journal';"],
    ['a barrel file', 'shared/domain/index.ts', ''],
    ['the environment', 'sender/a.ts', 'const level = process.env.LOG_LEVEL;'],
    ['the clock', 'shared/domain/a.ts', 'const now = Date.now();'],
    ['the clock as date', 'producer/a.ts', 'const now = new Date();'],
    ['chance', 'sender/a.ts', 'const a = Math.random();'],
    ['a process that is torn down', 'sender/main.ts', 'process.exit(1);'],
  ])('%s', (_, path, source) => expect(judgeSource(path, source)).toHaveLength(1));

  test.each([
    ['a domain file that uses another', 'shared/domain/a.ts', "import { a } from './sms.ts';"],
    ['an adapter with its client', 'shared/adapters/redis/a.ts', "import { Redis } from 'ioredis';"],
    [
      'an adapter that answers a port',
      'shared/adapters/redis/a.ts',
      "import type { C } from '../../ports/clock.ts';",
    ],
    [
      'a main that puts it all together',
      'sender/main.ts',
      "import { K } from '../shared/adapters/redis/keys.ts';",
    ],
    [
      'a compose that puts it all together',
      'producer/move/compose.ts',
      "import { K } from '../../shared/adapters/redis/keys.ts'; import { c } from '../../shared/process/logger.ts'; import { m } from './move-overdue.ts';",
    ],
    ['a compose with chance', 'sender/compose.ts', 'const id = Math.random();'],
    [
      'a pipeline part with a rehearsal',
      'producer/plan/a.ts',
      "import { w } from '../../shared/rehearsal/world.ts';",
    ],
    [
      'a rehearsal with a shared pipeline part',
      'shared/rehearsal/a.ts',
      "import { a } from '../pipeline/attempt/perform-attempt.ts';",
    ],
    [
      'a sender of the kit, composed around other ports',
      'tests/kit/faulty-sender/main.ts',
      "import { c } from '../../../sender/compose.ts'; const mode = process.env.MODE;",
    ],
    ['a pipeline part that decides', 'sender/a.ts', "import { a } from '../shared/domain/sms/sms.ts';"],
    [
      'a pipeline part with one that several share',
      'monitor/a.ts',
      "import { r } from './pipeline/archive/read-ahead.ts';",
    ],
    [
      'a shared pipeline part with its like and a port',
      'shared/pipeline/archive/a.ts',
      "import { r } from './read-ahead.ts'; import type { C } from '../../ports/clock.ts';",
    ],
    ['a package that computes', 'shared/domain/a.ts', "import { z } from 'zod';"],
    ['a script with a view', 'scripts/guided/a.ts', "import { p } from '../../monitor/views/paint.ts';"],
    ['a comment about it', 'sender/a.ts', '/* Date.now() */ // process.exit(1) or Math.random()'],
    ['the exit code', 'sender/a.ts', 'process.exitCode = 1;'],
  ])('but allows %s', (_, path, source) => expect(judgeSource(path, source)).toEqual([]));
});
