import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandResult } from '../../scripts/servers/programs/run-command.ts';
import { docker } from '../compose/compose-project.ts';
import { removeContainer, runIn, tryIn, WITH_SYSTEMD } from '../kit/container.ts';
import { waitFor } from '../kit/wait-for.ts';

/** One request to the stand-in for AWS. */
export interface AwsRequest {
  readonly service: string;
  readonly action?: string;
  readonly resource?: string;
  readonly isOfRole?: boolean;
  readonly isAllowed?: boolean;
  readonly status?: number;
  readonly url?: string;
  readonly error?: string;
}

/**
 * A machine that takes itself for a new EC2 instance: a container with systemd as its first process, and with a stand-in for
 * AWS inside (machine/). It has no network at all, so nothing of it can reach AWS, or anything else.
 */
export class Instance {
  readonly #name = `redial-aws-test-${process.pid}`;
  readonly #folder = mkdtempSync(join(tmpdir(), 'redial-aws-'));
  readonly #projectFolder: string;

  constructor(projectFolder: string) {
    this.#projectFolder = projectFolder;
  }

  /** The folder that the machine sees as /stand-in/facts. */
  get factsFolder(): string {
    const folder = join(this.#folder, 'facts');
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  tellFacts(facts: object): void {
    writeFileSync(join(this.factsFolder, 'facts.json'), JSON.stringify(facts));
  }

  async build(): Promise<void> {
    const context = join(this.#folder, 'image');
    cpSync(join(this.#projectFolder, 'tests', 'aws', 'machine'), context, { recursive: true });
    for (const part of ['package.json', 'package-lock.json', '.npmrc', 'scripts/commands'])
      cpSync(join(this.#projectFolder, part), join(context, 'packages', part), { recursive: true });
    await docker('build', '--network', 'host', '-t', this.#name, context);
  }

  async boot(): Promise<void> {
    const project = this.#projectFolder;
    await docker(
      ...['run', '-d', '--name', this.#name, '--hostname', 'ip-10-83-0-10', '--network', 'none'],
      ...WITH_SYSTEMD,
      ...['-v', `${project}/node_modules:/stand-in/node_modules:ro`],
      ...['-v', `${project}/tests/aws/machine:/stand-in/tests/aws/machine:ro`],
      ...['-v', `${this.factsFolder}:/stand-in/facts:ro`],
      this.#name,
    );
    const isUp = async () =>
      (await this.try('test -s /var/lib/stand-in-s3 -a -d /run/systemd/system')).code === 0;
    await waitFor('the machine to be up', isUp, 60_000, undefined, 300);
  }

  /** The container ends as an instance that is stopped, and starts again. */
  async reboot(): Promise<void> {
    await docker('restart', '--time', '90', this.#name);
  }

  /** Runs a script as cloud-init does: as root, from its folder, with its output in a file. */
  async runUserData(script: string): Promise<CommandResult> {
    writeFileSync(join(this.factsFolder, 'part-001'), script);
    await this.run('install -D -m 700 /stand-in/facts/part-001 /var/lib/cloud/instance/scripts/part-001');
    const log = '/var/log/cloud-init-output.log';
    const unit = `systemd-run --quiet --wait --collect -p StandardOutput=append:${log} -p StandardError=append:${log}`;
    const { code } = await this.try(`${unit} /var/lib/cloud/instance/scripts/part-001`);
    return { code, output: await this.run(`cat ${log}`) };
  }

  /** Runs a line of shell as root. */
  try(line: string): Promise<CommandResult> {
    return tryIn(this.#name, line);
  }

  /** @returns what it printed @throws Error where it failed */
  run(line: string): Promise<string> {
    return runIn(this.#name, line);
  }

  /** Runs a command of Redial as its page says, and S3 is the stand-in. */
  redial(args: string): Promise<CommandResult> {
    return this.try(`AWS_ENDPOINT_URL=http://127.0.0.1:4599 redial ${args}`);
  }

  async requests(): Promise<readonly AwsRequest[]> {
    const lines = await this.run('cat /var/log/stand-in-requests.ndjson');
    return lines.split('\n').map((line) => JSON.parse(line) as AwsRequest);
  }

  /** Container, image and folder. */
  async remove(): Promise<void> {
    await removeContainer(this.#name);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The end of what the services wrote, for a person who looks for a fault. */
  async describeTrouble(): Promise<string> {
    const { output } = await this.try('systemctl --failed --no-legend; journalctl --no-pager -n 60 -o short');
    return output;
  }
}
