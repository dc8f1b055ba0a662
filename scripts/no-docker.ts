import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Stands before Docker on PATH. */
export interface NoDocker {
  readonly path: string;
  /** What was asked of Docker, one command line each. */
  readCalls(): string[];
}

/**
 * A PATH on which `docker` and `docker-compose` fail, so that tests do the same with and without an engine, and touch none
 * that runs. A test that needs one to answer puts its own before it.
 */
export function withoutDocker(folder: string, path: string): NoDocker {
  const programs = join(folder, 'no-docker');
  const record = join(folder, 'docker-calls');
  mkdirSync(programs);
  for (const name of ['docker', 'docker-compose']) {
    const script = `#!/bin/sh\necho "${name} $*" >>'${record}'\necho 'Docker is not for tests' >&2\nexit 1\n`;
    writeFileSync(join(programs, name), script, { mode: 0o755 });
  }
  return {
    path: `${programs}${delimiter}${path}`,
    readCalls: () => (existsSync(record) ? readFileSync(record, 'utf8').trimEnd().split('\n') : []),
  };
}
