import type { Compose } from '../../scripts/servers/compose/find-compose.ts';
import { findFreePorts } from '../../scripts/servers/free-ports.ts';
import { type CommandResult, runCommand } from '../../scripts/servers/programs/run-command.ts';
import { type AuditReport, readAuditReport } from '../kit/audit-report.ts';

/** The settings of docker-compose.yml for ports that are open to this machine. */
const PORTS = [
  'RABBITMQ_PORT_HOST',
  'RABBITMQ_MANAGEMENT_PORT_HOST',
  'REDIS_PORT_HOST',
  'S3_PORT_HOST',
  'MONITOR_PORT_HOST',
  'API_PORT_HOST',
  'PROMETHEUS_PORT_HOST',
  'GRAFANA_PORT_HOST',
] as const;

/** docker-compose.yml as a project of its own: own ports, own volumes, own image, and nothing left of it at the end. */
export class ComposeProject {
  readonly name = `redial-test-${process.pid}`;
  readonly image = `redial-test:${process.pid}`;
  readonly environment: NodeJS.ProcessEnv;
  readonly #compose: Compose;
  readonly #folder: string;

  static async create(compose: Compose, folder: string, settings: Record<string, string>) {
    const ports = await findFreePorts(PORTS.length);
    return new ComposeProject(compose, folder, {
      ...Object.fromEntries(PORTS.map((name, index) => [name, String(ports[index])])),
      ...settings,
    });
  }

  private constructor(compose: Compose, folder: string, settings: Record<string, string>) {
    this.#compose = compose;
    this.#folder = folder;
    this.environment = {
      ...process.env,
      ...settings,
      COMPOSE_PROJECT_NAME: this.name,
      REDIAL_IMAGE: this.image,
    };
  }

  /** @returns what it printed @throws Error with the end of it when it failed */
  async compose(...args: string[]): Promise<string> {
    return succeeded(`compose ${args.join(' ')}`, await this.#run(args));
  }

  up(senderCount: number): Promise<string> {
    return this.compose('up', '-d', '--scale', `sender=${senderCount}`);
  }

  async upFromProfile(profile: string, service: string): Promise<void> {
    await this.compose('--profile', profile, 'up', '-d', '--no-deps', service);
  }

  /** @param port the setting that names it */
  url(port: (typeof PORTS)[number], path: string): string {
    return `http://127.0.0.1:${this.environment[port]}${path}`;
  }

  /** Of all services where none is named. */
  async containersOf(...services: string[]): Promise<string[]> {
    return (await this.compose('ps', '-q', ...services))
      .split('\n')
      .filter((line) => /^[0-9a-f]{12,}$/.test(line));
  }

  /** Of all containers of the project: running and well. */
  async areAllHealthy(): Promise<boolean> {
    const format = '{{.State.Status}} {{.State.Health.Status}}';
    const states = await docker('inspect', '-f', format, ...(await this.containersOf()));
    return states
      .trim()
      .split('\n')
      .every((state) => state === 'running healthy');
  }

  async produce(count: number, run: string): Promise<void> {
    const args = ['--num-messages', String(count), '--run', run, '--json', '--no-progress'];
    await this.compose('run', '--rm', '-T', 'producer', ...args);
  }

  /** What the audit says; its exit code is part of it. */
  async audit(run: string): Promise<AuditReport> {
    const { output } = await this.#run(['run', '--rm', '-T', 'monitor', '--audit', '--json', '--run', run]);
    return readAuditReport(output);
  }

  /** Containers, volumes, network and image. */
  async remove(): Promise<void> {
    await this.#run(['--profile', 'observability', 'down', '--volumes', '--remove-orphans']);
    await runCommand('docker', ['image', 'rm', '--force', this.image]);
  }

  #run(args: readonly string[]): Promise<CommandResult> {
    return this.#compose(args, { cwd: this.#folder, env: this.environment });
  }
}

/** @returns what it printed @throws Error with the end of it when it failed */
export async function docker(...args: string[]): Promise<string> {
  return succeeded(`docker ${args.slice(0, 2).join(' ')} …`, await runCommand('docker', args));
}

function succeeded(command: string, { code, output }: CommandResult): string {
  if (code !== 0) throw new Error(`${command} ended with ${code}:\n${lastLines(output)}`);
  return output;
}

/** The end of what a command printed: what an error message shows. */
function lastLines(output: string): string {
  return output.trimEnd().split('\n').slice(-8).join('\n');
}
