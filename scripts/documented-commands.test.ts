/** Every command that the documentation names is ours, and works, or says what to type, before anything is installed. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runWithoutRegistry } from '../tests/kit/process/npm-without-registry.ts';

const project = join(import.meta.dirname, '..');
const clone = mkdtempSync(join(tmpdir(), 'redial-documented-'));
const { bin, scripts } = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8')) as {
  readonly bin: Record<string, string>;
  readonly scripts: Record<string, string>;
};
const documentation = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  'deploy/systemd/README.md',
  ...listDocs(),
]
  .map((path) => readFileSync(join(project, path), 'utf8'))
  .join('\n');
/** Of `npm run`, also over the end of a line; `npm start` and `npm test` are the same. */
const named = new Set(['start', 'test', ...wordsAfter(/\bnpm\s+run\s+([a-z][\w:]*)/g)]);

function listDocs(): string[] {
  const names = readdirSync(join(project, 'docs')).filter((name) => name.endsWith('.md'));
  return names.map((name) => join('docs', name));
}

function wordsAfter(pattern: RegExp): string[] {
  return [...documentation.matchAll(pattern)].map(([, word = '']) => word);
}

beforeAll(() => {
  for (const part of ['package.json', 'scripts'])
    cpSync(join(project, part), join(clone, part), { recursive: true });
  // A source, so that there is something to build, and no package to be had.
  for (const part of ['package-lock.json', 'tsconfig.build.json', 'shared/ports/clock.ts'])
    cpSync(join(project, part), join(clone, part));
});
afterAll(() => rmSync(clone, { recursive: true, force: true }));

test('npx runs only what the project itself provides', () => {
  expect([...new Set(wordsAfter(/\bnpx\s+([a-z][\w-]*)/g))].sort()).toEqual(Object.keys(bin).sort());
});

test.each([...named].sort())('npm run %s runs no stranger and says in a sentence what is missing', (name) => {
  const [, file = ''] = /^node (scripts\/[\w/-]+\.js)( [\w/-]+)?$/.exec(scripts[name] ?? '') ?? [];
  // Those that install first are all alike.
  if (name !== 'start' && readFileSync(join(project, file), 'utf8').includes('await runScript(')) return;
  const { status, stderr } = runWithoutRegistry('npm', ['run', name], clone);
  expect([status, stderr]).toEqual([1, expect.stringMatching(/npm ci failed|run npm ci/)]);
  expect(stderr).not.toMatch(/\n +at /);
});
