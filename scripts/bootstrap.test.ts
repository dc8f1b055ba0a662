/** `npm start` in a small checkout whose npm and compiler take as long as the test wants. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

let checkout = '';
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'redial-bootstrap-'));
  const project = join(import.meta.dirname, '..');
  // As in the image, whose build has no other scripts.
  cpSync(join(project, 'scripts', 'commands'), join(checkout, 'scripts', 'commands'), { recursive: true });
  for (const file of ['scripts/bootstrap.js', 'scripts/run.js', 'package.json']) {
    cpSync(join(project, file), join(checkout, file));
  }
  write('package-lock.json', '{"packages":{}}');
  write('tsconfig.build.json', '{}');
  write('shared/some.ts', '');
  // Both leave a child of their own, which says that it runs, and which nobody would end with them.
  write(
    'bin/npm',
    `#!/bin/sh\nif [ -e slow-npm ]; then rm slow-npm; sh -c 'echo $$ >npm.pid; exec sleep 60' & wait; fi
mkdir -p node_modules/typescript/bin && cp package-lock.json node_modules/.package-lock.json
cp compiler.cjs node_modules/typescript/bin/tsc\n`,
  );
  chmodSync(join(checkout, 'bin', 'npm'), 0o755);
  write(
    'compiler.cjs',
    `const fs = require('node:fs');
const outDir = process.argv[process.argv.indexOf('--outDir') + 1] + '/scripts/guided';
if (fs.existsSync('slow-build')) {
  fs.rmSync('slow-build');
  require('node:child_process').execSync("echo $$ >build.pid; exec sleep 60");
}
fs.mkdirSync(outDir, { recursive: true });
fs.writeFileSync(outDir + '/guided-run.js', "console.log('it runs')");`,
  );
});
afterEach(() => {
  for (const pid of startedPids()) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  rmSync(checkout, { recursive: true, force: true });
});

function write(path: string, text: string): void {
  mkdirSync(join(checkout, path, '..'), { recursive: true });
  writeFileSync(join(checkout, path), text);
}

/** In a process group of its own, as a shell starts a command. */
function start(): ChildProcess & { readonly output: string } {
  const child = spawn(process.execPath, ['scripts/run.js', 'scripts/guided/guided-run'], {
    cwd: checkout,
    env: { ...process.env, PATH: `${join(checkout, 'bin')}:${process.env.PATH}` },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const spoken = Object.assign(child, { output: '' });
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      spoken.output += chunk.toString('utf8');
    });
  return spoken;
}

function startedPids(): number[] {
  return readdirSync(checkout)
    .filter((name) => name.endsWith('.pid'))
    .map((name) => Number(readFileSync(join(checkout, name), 'utf8')));
}

function isAlive(pid: number): boolean {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) && readFileSync(file, 'utf8') !== '';
}

test.each([
  ['Ctrl-C while it installs packages', 'npm', 'SIGINT', 130],
  ['a SIGTERM of its own while it installs packages', 'npm', 'SIGTERM', 143],
  ['Ctrl-C while it builds', 'build', 'SIGINT', 130],
  ['a SIGTERM of its own while it builds', 'build', 'SIGTERM', 143],
] as const)(
  'npm start, ended by %s, leaves nothing running, and the next one works',
  async (_, step, signal, code) => {
    write(`slow-${step}`, '');
    const first = start();
    await expect.poll(() => startedPids().filter(isAlive).length, { timeout: 10_000 }).toBe(1);

    process.kill(signal === 'SIGINT' ? -(first.pid ?? 0) : (first.pid ?? 0), signal);
    expect(await once(first, 'exit')).toEqual([code, null]);
    expect(startedPids().filter(isAlive)).toEqual([]);
    expect(readdirSync(join(checkout, '.redial'))).toEqual([]);

    const second = start();
    expect([await once(second, 'close'), second.output]).toEqual([
      [0, null],
      expect.stringContaining('it runs'),
    ]);
  },
);

test('npm start, killed while it installs packages, takes npm with it', async () => {
  write('slow-npm', '');
  const first = start();
  await expect.poll(() => startedPids().filter(isAlive).length, { timeout: 10_000 }).toBe(1);
  first.kill('SIGKILL');
  await expect.poll(() => startedPids().filter(isAlive), { timeout: 5_000 }).toEqual([]);
});

test('what npm says of a failed installation is told', async () => {
  write('bin/npm', '#!/bin/sh\necho "no such package" >&2\nexit 3\n');
  const failing = start();
  expect([await once(failing, 'close'), failing.output]).toEqual([
    [1, null],
    expect.stringContaining('npm ci failed:\nno such package'),
  ]);
});
