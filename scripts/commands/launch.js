/**
 * What `npx producer`, `npx sender` and `npx monitor` do: see that dist/ is fresh, then become that program. In the
 * same process, so that signals, exit codes and standard input are the program's own.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { endUnbuilt, ensureBuilt, projectFolder } from './build.js';

/** @param {'producer' | 'sender' | 'monitor'} name */
export async function launch(name) {
  try {
    await ensureBuilt((line) => console.error(line));
  } catch (error) {
    endUnbuilt(error);
    return;
  }
  await import(pathToFileURL(join(projectFolder, 'dist', name, 'main.js')).href);
}
