/**
 * From a bare clone to a running script: checks Node.js, installs the packages, builds, then becomes the script.
 * Plain JavaScript that also an old Node.js can read, and nothing but Node.js itself: nothing is installed yet.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const projectFolder = fileURLToPath(new URL('..', import.meta.url));
const neededNode = [20, 19];

/**
 * @param {string} program path of the compiled program in dist/, without ending
 * @returns {Promise<boolean>} false when it could not be run; the reason has been printed
 */
export async function runScript(program) {
  // Output that cannot be written must not leave servers behind; what was lost is no success.
  process.stderr.on('error', () => {});
  process.stdout.on('error', (error) => {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EPIPE') return;
    process.once('exit', () => {
      if (!process.exitCode) process.exitCode = 1;
    });
  });
  if (!isNodeNewEnough(process.versions.node)) {
    console.error(
      `Redial needs Node.js ${neededNode.join('.')} or newer, this is ${process.versions.node}: install a newer one from https://nodejs.org.`,
    );
    process.exitCode = 1;
    return false;
  }
  try {
    // Only now: these files may use what an old Node.js does not have.
    const { ensureBuilt } = await import('./commands/build.js');
    const { withLock } = await import('./commands/lock.js');
    const lock = join(projectFolder, '.redial', 'install.lock');
    await withLock(lock, installPackages, () =>
      console.error('Waiting for another installation in this checkout …'),
    );
    await ensureBuilt();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = error instanceof Error && 'exitCode' in error ? Number(error.exitCode) : 1;
    return false;
  }
  await import(pathToFileURL(join(projectFolder, 'dist', `${program}.js`)).href);
  return true;
}

/** @param {string} version */
function isNodeNewEnough(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [neededMajor = 0, neededMinor = 0] = neededNode;
  return major > neededMajor || (major === neededMajor && minor >= neededMinor);
}

async function installPackages() {
  if (isInstalled()) return;
  console.error('Installing npm packages …');
  // NODE_ENV=production would leave out the compiler and the servers for rehearsal.
  const args = ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--no-progress'];
  const { runKept } = await import('./commands/kept-command.js');
  const { code, output } = await runKept('npm', args, projectFolder);
  if (code !== 0) throw new Error(`npm ci failed:\n${output.trim()}`);
}

/** Whether node_modules holds what package-lock.json asks for: npm leaves a list of what it installed. */
function isInstalled() {
  const listFile = join(projectFolder, 'node_modules', '.package-lock.json');
  if (!existsSync(listFile)) return false;
  const wanted = JSON.parse(readFileSync(join(projectFolder, 'package-lock.json'), 'utf8')).packages;
  const installed = JSON.parse(readFileSync(listFile, 'utf8')).packages;
  return Object.keys(wanted).every((path) => {
    if (path === '' || wanted[path].optional || wanted[path].devOptional || wanted[path].peer) return true;
    return installed[path] !== undefined && installed[path].integrity === wanted[path].integrity;
  });
}
