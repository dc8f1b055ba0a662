import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../../scripts/servers/programs/run-command.ts';

/** The tag of the first version, and the addresses under which the machine finds it. */
export const TAG = 'v-test';
export const GIT_URL = 'https://github.com/example/redial.git';
export const ARCHIVE = 'redial-next.tar.gz';

/** The code as an instance fetches it, made of the checkout as it is: a Git repository, and an archive of a next version. */
export class Source {
  readonly #folder: string;
  readonly #projectFolder: string;

  /** @param folder what the machine sees as /stand-in/facts */
  constructor(projectFolder: string, folder: string) {
    this.#projectFolder = projectFolder;
    this.#folder = folder;
  }

  /** Puts it where the machine has told Git that the address leads. */
  async publish(): Promise<void> {
    const work = join(this.#folder, 'redial.git');
    const list = 'git ls-files -z --cached --others --exclude-standard';
    await this.#shell(
      `mkdir ${work} && ${list} | tar --null -T - --ignore-failed-read -cf - | tar -C ${work} -xf -`,
    );
    const commit = 'git -c user.name=test -c user.email=test@example.org commit -q -m test';
    await this.#shell(`cd ${work} && git init -q && git add -A && ${commit} && git tag ${TAG}`);
  }

  /** @returns the SHA-256 of the archive of a version that differs in one line */
  async publishNext(): Promise<string> {
    const archive = join(this.#folder, ARCHIVE);
    const next = join(this.#folder, 'redial-next');
    const change = `printf '\\n// The next version.\\n' >>${next}/shared/errors.ts`;
    const pack = `tar -C ${this.#folder} --exclude=.git -czf ${archive} redial-next`;
    await this.#shell(`cp -R ${this.#folder}/redial.git ${next} && ${change} && ${pack} && rm -rf ${next}`);
    return createHash('sha256').update(readFileSync(archive)).digest('hex');
  }

  async #shell(line: string): Promise<void> {
    const { code, output } = await runCommand('sh', ['-c', line], { cwd: this.#projectFolder });
    if (code !== 0) throw new Error(`the code could not be published: ${output}`);
  }
}
