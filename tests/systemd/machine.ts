import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CommandResult, runCommand } from '../../scripts/servers/programs/run-command.ts';
import { docker } from '../compose/compose-project.ts';
import { type AuditReport, readAuditReport } from '../kit/audit-report.ts';
import { removeContainer, runIn, tryIn, WITH_SYSTEMD } from '../kit/container.ts';
import { waitFor } from '../kit/wait-for.ts';

const INSTALL = '/root/redial/deploy/systemd/install.sh';

/**
 * A Debian machine with systemd, as a container on the network of the host: it reaches private servers there.
 */
export class Machine {
  readonly #name = `redial-systemd-test-${process.pid}`;
  readonly #projectFolder: string;

  constructor(projectFolder: string) {
    this.#projectFolder = projectFolder;
  }

  /** Builds its image and boots it. */
  async boot(): Promise<void> {
    const dockerfile = readFileSync(join(this.#projectFolder, 'Dockerfile'), 'utf8');
    const [, base = ''] = /^FROM (\S+)/m.exec(dockerfile) ?? [];
    const folder = join(this.#projectFolder, 'tests', 'systemd');
    const build = ['build', '--network', 'host', '--build-arg', `BASE=${base}`, '-t', this.#name, folder];
    await docker(...build);
    await docker(...['run', '-d', '--name', this.#name, '--network', 'host'], ...WITH_SYSTEMD, this.#name);
    await this.awaitSystem();
  }

  /** A restart of the container: systemd ends all services and starts those that are enabled. */
  async reboot(): Promise<void> {
    await docker('restart', '--time', '90', this.#name);
    await this.awaitSystem();
  }

  async awaitSystem(): Promise<void> {
    const isUp = async () =>
      /^(running|degraded)/m.test((await this.try('systemctl is-system-running')).output);
    await waitFor('systemd to be up', isUp, 120_000, undefined, 500);
  }

  /** Container and image. */
  async remove(): Promise<void> {
    await removeContainer(this.#name);
  }

  /** Runs a line of shell as root. */
  try(line: string): Promise<CommandResult> {
    return tryIn(this.#name, line);
  }

  /** @returns what it printed @throws Error where it failed */
  run(line: string): Promise<string> {
    return runIn(this.#name, line);
  }

  install(args = ''): Promise<string> {
    return this.run(`${INSTALL} ${args}`);
  }

  tryInstall(args = ''): Promise<CommandResult> {
    return this.try(`${INSTALL} ${args}`);
  }

  async write(path: string, text: string): Promise<void> {
    const encoded = Buffer.from(text).toString('base64');
    await this.run(`echo ${encoded} | base64 -d >${path}`);
  }

  /** Copies the files of the checkout that git knows, and those that it would take. */
  async copyCheckout(): Promise<void> {
    const list = 'git ls-files -z --cached --others --exclude-standard';
    const pack = `${list} | tar --null -T - --ignore-failed-read -cf - 2>/dev/null`;
    const unpack = `docker exec -i ${this.#name} sh -c 'mkdir -p /root/redial && tar -C /root/redial -xf -'`;
    const { code, output } = await runCommand('sh', ['-c', `${pack} | ${unpack}`], {
      cwd: this.#projectFolder,
    });
    if (code !== 0) throw new Error(`the checkout could not be copied:\n${output}`);
  }

  /** A property of a unit as systemd knows it. */
  show(unit: string, property: string): Promise<string> {
    return this.run(`systemctl show --value -p ${property} ${unit}`);
  }

  async areActive(...units: readonly string[]): Promise<boolean> {
    return (
      (await this.try(`systemctl is-active --quiet ${units.join(' && systemctl is-active --quiet ')}`))
        .code === 0
    );
  }

  /** The folder of the version that a service runs. */
  async versionOf(unit: string): Promise<string> {
    return this.run(`basename $(readlink /proc/$(systemctl show --value -p MainPID ${unit})/cwd)`);
  }

  produce(count: number, run: string): Promise<string> {
    return this.run(`redial producer --num-messages ${count} --run ${run} --json --no-progress`);
  }

  /** What the audit says; its exit code is part of it. */
  async audit(run: string): Promise<AuditReport> {
    const { output } = await this.try(`redial monitor --audit --json --run ${run}`);
    return readAuditReport(output);
  }
}
