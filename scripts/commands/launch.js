/**
 * What `npx producer`, `npx sender` and `npx monitor` do: see that dist/ is fresh, then become that program. In the
 * same process, so that signals, exit codes and standard input are the program's own.
 *
 * `npm ci` links them from this folder, which is a package for that. package.json of the project names them too: else npx
 * would look for packages of these names in the registry, and run what it finds, where nothing is installed yet.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BuildError, endUnbuilt, ensureBuilt, projectFolder } from './build.js';

/** @param {'producer' | 'sender' | 'monitor'} name */
export async function launch(name) {
  try {
    if (!existsSync(join(projectFolder, 'node_modules'))) throw uninstalled('Nothing is installed yet', name);
    await ensureBuilt();
    await import(pathToFileURL(join(projectFolder, 'dist', name, 'main.js')).href).catch((error) => {
      throw isPackageMissing(error) ? uninstalled('Not all packages are installed', name) : error;
    });
  } catch (error) {
    endUnbuilt(error);
  }
}

/**
 * @param {string} what
 * @param {string} name
 */
function uninstalled(what, name) {
  return new BuildError(`${what} in ${projectFolder}: run "npm ci" there, then "npx ${name}" again.`);
}

/** @param {unknown} error */
function isPackageMissing(error) {
  return error instanceof Error && error.message.startsWith('Cannot find package');
}
