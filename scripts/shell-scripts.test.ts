/** Every shell script, also those inside workflow files, through ShellCheck. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

const project = join(import.meta.dirname, '..');
const workflows = join(project, '.github', 'workflows');

/** What ShellCheck says of a script; empty where it finds nothing. */
function judge(script: string): string {
  const { error, stdout } = spawnSync('shellcheck', ['--format=gcc', '-'], {
    input: script,
    encoding: 'utf8',
  });
  if (error !== undefined) throw new Error('no shellcheck was found: npm test installs it', { cause: error });
  return stdout;
}

/** Scripts whose names do not tell that they are. */
const nameless = new Set(['.ci/run', 'deploy/systemd/redial']);
const notOurs = new Set(['node_modules', 'dist', '.git', '.redial', 'sender_logs']);
const scripts = readdirSync(project, { withFileTypes: true })
  .filter(({ name }) => !notOurs.has(name))
  .flatMap((entry) => {
    if (!entry.isDirectory()) return [entry.name];
    const below = readdirSync(join(project, entry.name), { recursive: true, encoding: 'utf8' });
    return below.map((path) => `${entry.name}/${path}`);
  })
  .filter((path) => nameless.has(path) || (path.endsWith('.sh') && !path.includes('node_modules/')));

test.each(scripts)('%s is clean', (path) => {
  expect(judge(readFileSync(join(project, path), 'utf8'))).toBe('');
});

test.each(readdirSync(workflows))('the commands in %s are clean', (name) => {
  const { jobs } = parse(readFileSync(join(workflows, name), 'utf8')) as {
    jobs: Record<string, { steps: { run?: string }[] }>;
  };
  const commands = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));
  expect(commands.length).toBeGreaterThan(0);
  for (const command of commands) expect(judge(`#!/bin/sh\nset -e\n${command}`)).toBe('');
});

test('a variable without quotes is found', () => {
  expect(judge('#!/bin/sh\nrm $1\n')).toContain('SC2086');
});
