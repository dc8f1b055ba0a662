/** What docker-compose.yml, the Dockerfile and deploy/ must agree on with the rest; that they run is test:compose. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig, SETTINGS } from '../../shared/process/config/config.ts';
import { renderAdvancedConfig } from './private/rabbitmq-configuration.ts';

const read = (...path: string[]) => readFileSync(join(import.meta.dirname, '..', '..', ...path), 'utf8');
const composeFile = read('docker-compose.yml');
const dockerfile = read('Dockerfile');

// Between containers the names of the services say where servers are; the image itself names the health file.
const notPassedOn = new Set([
  'RABBITMQ_URL',
  'RABBITMQ_PORT',
  'RABBITMQ_MANAGEMENT_URL',
  'REDIS_URL',
  'REDIS_PORT',
  // They speak no TLS, and the files are not in the containers.
  'RABBITMQ_CA_FILE',
  'REDIS_CA_FILE',
  'AWS_CA_BUNDLE',
  'AWS_SESSION_TOKEN',
  'HEARTBEAT_FILE',
  // The service alone has them that listens there.
  'MONITOR_HOST',
  'MONITOR_PORT',
  'MONITOR_TOKEN',
  'API_HOST',
  'API_PORT',
  'API_TOKEN',
  'METRICS_HOST',
  'METRICS_PORT',
  // The file system of the containers is read-only, and Docker keeps their logs.
  'LOG_FILE',
]);

test('every setting reaches the containers', () => {
  const [, passedOn = ''] = /environment: &settings\n((?: {4}[A-Z].*\n)+)/.exec(composeFile) ?? [];
  const names = [...passedOn.matchAll(/^ +([A-Z0-9_]+):/gm)].map(([, name]) => name);
  const wanted = Object.values(SETTINGS).map(({ name }) => name);
  expect(names.sort()).toEqual(wanted.filter((name) => !notPassedOn.has(name)).sort());
});

test('every image is pinned to one version', () => {
  const images = [
    ...[...composeFile.matchAll(/^ +image: ([a-z].*)$/gm)].map(([, image]) => image),
    ...[...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image),
  ];
  expect(images).toHaveLength(8);
  for (const image of images) expect(image).toMatch(/:v?\d+\.\d+/);
});

test('the build reads only what .dockerignore lets into the image', () => {
  const { include, exclude } = JSON.parse(read('tsconfig.build.json')) as Record<string, string[]>;
  expect(include?.filter((folder) => !read('.dockerignore').includes(`\n!${folder}\n`))).toEqual([]);
  expect(exclude?.filter((pattern) => !read('.dockerignore').includes(`\n${pattern}\n`))).toEqual([]);
});

test('the version of image and labels is that of the package', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  expect(dockerfile).toContain(`ARG VERSION=${version}\n`);
  expect(composeFile).toContain(`\${REDIAL_IMAGE:-redial:${version}}`);
  expect(composeFile).toContain(`\${REDIAL_VERSION:-${version}}`);
});

test('a sender has more time to stop than it takes to drain', () => {
  const [, graceSeconds] = /stop_grace_period: \$\{STOP_GRACE_PERIOD:-(\d+)s\}/.exec(composeFile) ?? [];
  expect(Number(graceSeconds) * 1_000).toBeGreaterThan(loadConfig({}).shutdownTimeout);
});

test('RabbitMQ under Compose is told what the private brokers are told', () => {
  const settingsOf = (text: string) => [...text.matchAll(/\{(\w+), (\d+)\}/g)].map(([all]) => all);
  const ports = { amqp: 1, management: 2, distribution: 3, epmd: 4 };
  const own = settingsOf(renderAdvancedConfig(ports)).filter(
    // Its own rabbitmq.conf asks for more.
    (setting) => !/disk_free_limit|port/.test(setting),
  );
  expect(own).toHaveLength(5);
  expect(settingsOf(read('deploy', 'rabbitmq', 'advanced.config'))).toEqual(own);
});

// Those that do not begin as root, and as whom they begin.
const userOf: Readonly<Record<string, string>> = {
  ...{ rabbitmq: 'rabbitmq', redis: 'redis', prometheus: 'nobody', grafana: '"472"' },
};

describe.each([...Object.keys(userOf), 'seaweedfs'])('the container of %s', (name) => {
  const [, service = ''] = new RegExp(`^  ${name}:\\n((?: {4}.*\\n|\\n)+)`, 'm').exec(composeFile) ?? [];

  test('cannot gain privileges, and has the capabilities that its entrypoint needs and no other', () => {
    expect(service).toContain('security_opt: ["no-new-privileges:true"]');
    expect(service).toContain('cap_drop: [ALL]');
    const added = /cap_add: \[(.*)\]/.exec(service)?.[1] ?? '';
    expect(added).toBe(name === 'seaweedfs' ? 'CHOWN, DAC_OVERRIDE, SETGID, SETUID' : '');
    expect(/^ {4}user: (\S+)$/m.exec(service)?.[1]).toBe(userOf[name]);
  });

  test('has a limit of memory and of processes, and writes only to its volume and to memory', () => {
    expect(service).toMatch(/^ {4}mem_limit: (\$\{REDIS_MEM_LIMIT:-)?\d+[mg]\}?$/m);
    expect(service).toMatch(/^ {4}pids_limit: \d+$/m);
    expect(service).toContain('    read_only: true\n');
    expect(service).toMatch(/^ {4}tmpfs:/m);
  });

  test('has no password on a command line', () => {
    const [, command = ''] = /^ {4}command:((?:.*\n)(?: {5}.*\n)*)/m.exec(service) ?? [];
    // What the shell of the container is to put in itself is written with two dollars.
    expect(command.replaceAll('$$', '').replace('{REDIS_MAXMEMORY:-4gb}', '')).not.toMatch(/\$\w|\$\{/);
  });
});
