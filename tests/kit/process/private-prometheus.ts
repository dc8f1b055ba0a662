import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findFreePorts } from '../../../scripts/servers/free-ports.ts';
import { findProgram } from '../../../scripts/servers/programs/installed-programs.ts';
import { findProjectFolder } from '../../../shared/process/environment.ts';
import { waitFor } from '../wait-for.ts';
import { RunningProcess } from './running-process.ts';

export const OBSERVABILITY_FOLDER = join(findProjectFolder(), 'deploy', 'observability');

const SAMPLES_EVERY = '1s';

/** A program of Debian's package `prometheus`. @throws Error where it is not installed */
export function prometheusProgram(name: 'prometheus' | 'promtool'): string {
  const program = findProgram(name, process.env.PATH ?? '');
  if (program === undefined) throw new Error(`no ${name} was found: npm test installs it`);
  return program;
}

/** A real Prometheus with the configuration and the rules of deploy/, whose jobs read other addresses. */
export class PrivatePrometheus {
  readonly #process: RunningProcess;
  readonly #url: string;

  private constructor(process: RunningProcess, url: string) {
    this.#process = process;
    this.#url = url;
  }

  /** @param targets host and port by job. A job that is not named finds nobody */
  static async start(
    folder: string,
    targets: Readonly<Record<string, string>>,
    deadlineMs: number,
  ): Promise<PrivatePrometheus> {
    const [port = 0] = await findFreePorts(1);
    mkdirSync(folder, { recursive: true });
    const original = join(OBSERVABILITY_FOLDER, 'prometheus');
    copyFileSync(join(original, 'rules.yml'), join(folder, 'rules.yml'));
    const config = join(folder, 'prometheus.yml');
    writeFileSync(config, configFor(readFileSync(join(original, 'prometheus.yml'), 'utf8'), folder, targets));
    const process = new RunningProcess({
      program: prometheusProgram('prometheus'),
      args: [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      environment: {},
    });
    const prometheus = new PrivatePrometheus(process, `http://127.0.0.1:${port}`);
    const isReady = async () => {
      if (process.hasEnded) throw new Error(`Prometheus ended: ${process.stderr}`);
      return fetch(`${prometheus.#url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      );
    };
    await waitFor('Prometheus', isReady, deadlineMs);
    return prometheus;
  }

  /** The value of an expression now, by its labels. @throws Error where it is no expression */
  async query(expression: string): Promise<readonly { metric: Record<string, string>; value: number }[]> {
    const response = await fetch(`${this.#url}/api/v1/query?query=${encodeURIComponent(expression)}`);
    // biome-ignore lint/suspicious/noExplicitAny: whatever Prometheus says
    const { data, error } = (await response.json()) as any;
    if (error !== undefined) throw new Error(`${expression}: ${error}`);
    // biome-ignore lint/suspicious/noExplicitAny: the same
    return data.result.map(({ metric, value }: any) => ({ metric, value: Number(value[1]) }));
  }

  async stop(): Promise<void> {
    await this.#process.stop('SIGKILL');
  }
}

function configFor(original: string, folder: string, targets: Readonly<Record<string, string>>): string {
  const [head = '', ...jobs] = original
    .replace(/scrape_interval: \w+/, `scrape_interval: ${SAMPLES_EVERY}`)
    .split(/(?= {2}- job_name: )/);
  const changed = jobs.map((job) => {
    const [, name = ''] = /job_name: (\S+)/.exec(job) ?? [];
    const target = targets[name];
    if (target === undefined) return job.replace(/targets: .*/, 'targets: []');
    return job
      .replace(
        / {4}(static|dns_sd)_configs:\n( {6}.*\n)+/,
        `    static_configs: [{ targets: ["${target}"] }]\n`,
      )
      .replace(/credentials_file: \S+/, `credentials_file: ${join(folder, 'token')}`);
  });
  writeFileSync(join(folder, 'token'), 'none');
  return head + changed.join('');
}
