import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runWithoutRegistry } from '../../tests/kit/process/npm-without-registry.ts';

const project = join(import.meta.dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'redial-launch-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.each(['producer', 'sender', 'monitor'])('npx %s where nothing is installed runs no stranger', (name) => {
  const clone = join(folder, name);
  for (const part of ['package.json', 'package-lock.json', 'scripts/commands'])
    cpSync(join(project, part), join(clone, part), { recursive: true });
  const { status, stderr } = runWithoutRegistry('npx', [name, '--help'], clone);
  expect(stderr).toContain(`run "npm ci" there, then "npx ${name}" again`);
  expect(stderr).not.toContain('127.0.0.1:9');
  expect(status).toBe(1);
});

test.each(['producer', 'sender', 'monitor'])(
  'npx %s where a package is missing says what to type',
  (name) => {
    const clone = join(folder, `partial-${name}`);
    for (const part of ['package.json', 'scripts/commands'])
      cpSync(join(project, part), join(clone, part), { recursive: true });
    mkdirSync(join(clone, 'node_modules'));
    mkdirSync(join(clone, 'dist', name), { recursive: true });
    writeFileSync(join(clone, 'dist', name, 'main.js'), "import 'amqplib';");
    const { status, stderr } = spawnSync(process.execPath, [join('scripts', 'commands', `${name}.js`)], {
      cwd: clone,
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining(`run "npm ci" there, then "npx ${name}" again`),
    ]);
    expect(stderr).not.toMatch(/\n +at /);
  },
);
