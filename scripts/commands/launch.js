/**
 * What `npx producer`, `npx sender` and `npx monitor` do: see that dist/ is fresh, then become that program. In the
 * same process, so that signals, exit codes and standard input are the program's own.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BuildError, ensureBuilt, projectFolder } from './build.js';

/** @param {'producer' | 'sender' | 'monitor'} name */
export async function launch(name) {
  try {
    await ensureBuilt((line) => console.error(line));
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
    return;
  }
  await import(pathToFileURL(join(projectFolder, 'dist', name, 'main.js')).href);
}
