/** What deploy/systemd promises and can be seen without a running systemd; on a machine of its own it is `npm run test:systemd`. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installPackages } from '../../scripts/servers/programs/install-packages.ts';
import { findProgram } from '../../scripts/servers/programs/installed-programs.ts';
import { loadConfig, SETTINGS } from '../../shared/process/config/config.ts';

const project = join(import.meta.dirname, '..', '..');
const deploy = join(project, 'deploy', 'systemd');
const services = ['redial-sender@.service', 'redial-monitor.service', 'redial-api.service'];
const root = mkdtempSync(join(tmpdir(), 'redial-systemd-'));
const isLinux = process.platform === 'linux';
/** It is not there, so the Node.js of the path builds: the one that runs this test may be in somebody's home. */
const NODE = '/opt/node/bin/node';

const read = (...path: string[]) => readFileSync(join(...path), 'utf8');
const valuesOf = (unit: string, key: string) =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);

/** Of the exit, and everything it printed. */
function run(command: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

const install = (...args: string[]) => run(join(deploy, 'install.sh'), '--root', root, ...args);
/** The copy of the script that the installed version has. */
const installed = (...args: string[]) =>
  run(join(root, 'opt/redial/current/deploy/systemd/install.sh'), '--root', root, ...args);

beforeAll(async () => {
  const isThere = findProgram('systemd-analyze', process.env.PATH ?? '') !== undefined;
  if (isLinux && !isThere) await installPackages(['systemd']);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe.skipIf(!isLinux).each(services)('%s', (name) => {
  const unit = read(deploy, name);

  test('says nothing that systemd does not know', () => {
    // Programs that are not installed here are no fault of the unit.
    const seen = run(
      'systemd-analyze',
      'verify',
      '--man=no',
      join(deploy, name),
      join(deploy, 'redial-senders.target'),
    );
    const lines = seen.output
      .split('\n')
      .filter((line) => line.includes('redial') && !line.includes('is not executable'));
    expect(lines).toEqual([]);
  });

  test('is exposed by less than 3 of 10', () => {
    const { output } = run('systemd-analyze', 'security', '--offline=true', join(deploy, name));
    const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(output) ?? [];
    expect(Number(exposure)).toBeLessThan(3);
  });

  test('gets every secret as a credential but the tokens of other services', () => {
    const tokens = ['API_TOKEN', 'MONITOR_TOKEN'].filter(
      (token) => token !== `${/redial-(\w+)/.exec(name)?.[1]?.toUpperCase()}_TOKEN`,
    );
    const secrets = Object.values(SETTINGS).filter((setting) => setting.isSecret);
    const wanted = secrets.map((setting) => setting.name).filter((each) => !tokens.includes(each));
    expect(valuesOf(unit, 'LoadCredential').sort()).toEqual(
      wanted.map((each) => `${each}:/etc/redial/credentials/${each}`).sort(),
    );
    for (const each of wanted) expect(valuesOf(unit, 'Environment')).toContain(`${each}_FILE=%d/${each}`);
  });

  test('has more time to stop than it takes to drain, and is not started again where that cannot help', () => {
    expect(Number(valuesOf(unit, 'TimeoutStopSec')[0]) * 1_000).toBeGreaterThan(
      loadConfig({}).shutdownTimeout,
    );
    expect(valuesOf(unit, 'RestartPreventExitStatus')).toEqual(['2 78']);
  });

  test('lets a server listen on 0.0.0.0, for which it asks for the addresses of the machine', () => {
    expect(valuesOf(unit, 'RestrictAddressFamilies')[0]?.split(' ')).toContain('AF_NETLINK');
  });

  test('is shut in like the other units', () => {
    const shutIn = (text: string) => /\n# Nothing but the network[\s\S]*?\n\n\[Install\]/.exec(text)?.[0];
    expect(shutIn(unit)).toBeDefined();
    expect(shutIn(unit)).toBe(shutIn(read(deploy, services[0] ?? '')));
  });
});

describe.skipIf(!isLinux)('install.sh', () => {
  test.each([
    [['--senders', '0'], '--senders must be a number from 1 to 99, got 0'],
    [['--senders'], '--senders needs a value'],
    [['--prefix', '/opt'], '--prefix must be a folder for Redial alone, got /opt'],
    [['--prefix', 'redial'], '--prefix must be an absolute path'],
    [['--purge'], '--purge goes with --uninstall'],
    [['--quick'], '--quick is no option'],
  ])('%s is wrong usage', (args, sentence) => {
    const { status, output } = install(...args);
    expect([status, output]).toEqual([2, expect.stringContaining(sentence)]);
    expect(readdirSync(root)).toEqual([]);
  });

  test('a Node.js that is too old, or that services cannot see, is refused', () => {
    const old = join(root, 'node');
    writeFileSync(old, '#!/bin/sh\n[ "$1" = --version ] && echo v18.20.4\n', { mode: 0o755 });
    expect(install('--node', old).output).toContain(`${old} is v18.20.4`);
    rmSync(old);
  });
});

describe.skipIf(!isLinux)('a file system that install.sh --root has installed into', () => {
  const etc = join(root, 'etc');
  const looks = () => ({
    version: readlinkSync(join(root, 'opt/redial/current')),
    times: ['etc/systemd/system', 'etc/redial', 'opt/redial'].flatMap((folder) =>
      readdirSync(join(root, folder)).map((name) => `${name} ${statSync(join(root, folder, name)).mtimeMs}`),
    ),
  });
  let first: { readonly status: number | null; readonly output: string };

  beforeAll(() => {
    mkdirSync(etc, { recursive: true });
    first = install('--senders', '2', '--monitor', '--api', '--node', NODE);
  });

  test('has a version of production packages alone, without sources and tests', () => {
    expect(first).toMatchObject({ status: 0 });
    const version = join(root, 'opt/redial/current');
    expect(existsSync(join(version, 'dist/sender/main.js'))).toBe(true);
    for (const name of ['node_modules/vitest', 'node_modules/typescript', 'sender', 'dist/tests', '.env'])
      expect(existsSync(join(version, name))).toBe(false);
  });

  test('has every setting as a comment, and secrets in files for root alone', () => {
    const settings = read(etc, 'redial/redial.env');
    expect(settings.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
    for (const { name, isSecret } of Object.values(SETTINGS)) {
      if (name === 'HEARTBEAT_FILE') continue;
      expect(settings).toContain(
        isSecret ? `\n# ${name}: in the file /etc/redial/credentials/${name}\n` : `\n# ${name}=`,
      );
      expect(existsSync(join(etc, 'redial/credentials', name))).toBe(isSecret);
    }
    expect(settings).not.toContain('S3RVER');
    expect(statSync(join(etc, 'redial/redial.env')).mode & 0o777).toBe(0o640);
    expect(statSync(join(etc, 'redial/credentials')).mode & 0o777).toBe(0o700);
    expect(statSync(join(etc, 'redial/credentials/API_TOKEN')).mode & 0o777).toBe(0o600);
  });

  test('starts with the machine: two senders, monitor and API', () => {
    const wants = (target: string) => readdirSync(join(etc, 'systemd/system', `${target}.wants`)).sort();
    expect(wants('redial-senders.target')).toEqual(['redial-sender@1.service', 'redial-sender@2.service']);
    expect(wants('multi-user.target')).toEqual([
      'redial-api.service',
      'redial-monitor.service',
      'redial-senders.target',
    ]);
  });

  test('stays as it is when it is installed again, and takes a longer SHUTDOWN_TIMEOUT into its units', () => {
    const before = looks();
    expect(installed('--node', NODE)).toMatchObject({ status: 0 });
    expect(looks()).toEqual(before);
    writeFileSync(join(etc, 'redial/redial.env'), 'SHUTDOWN_TIMEOUT=120\n');
    installed('--node', NODE);
    expect(valuesOf(read(etc, 'systemd/system/redial-sender@.service'), 'TimeoutStopSec')).toEqual(['135']);
    expect(read(etc, 'redial/redial.env')).toBe('SHUTDOWN_TIMEOUT=120\n');
  });

  test('has its settings left after --uninstall, and nothing with --purge', () => {
    install('--uninstall');
    expect([existsSync(join(root, 'opt/redial')), existsSync(join(etc, 'redial/redial.env'))]).toEqual([
      false,
      true,
    ]);
    install('--uninstall', '--purge');
    const left = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.includes('redial'),
    );
    expect(left).toEqual([]);
  });
});
