#!/usr/bin/env node
/**
 * Makes dist/ from the sources: `npm run build`, and what every launcher calls first, so that a command never runs
 * yesterday's code. Plain JavaScript without dependencies: it has to work before anything is built.
 *
 * dist/ is built beside itself and swapped in by renaming, so that what runs from dist/ never reads half a file, and
 * nothing lingers of a source that is gone. dist/.stamp holds a fingerprint of the sources it was built from.
 */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { InterruptedError, runKept } from './kept-command.js';
import { LockError, withLock } from './lock.js';

export const projectFolder = fileURLToPath(new URL('../..', import.meta.url));
const dist = join(projectFolder, 'dist');
const stampFile = join(dist, '.stamp');
const productFolders = ['producer', 'sender', 'monitor', 'shared'];
const toolFolders = ['scripts', 'tests', 'bench'];
const singleSources = ['tsconfig.json', 'tsconfig.build.json', 'tsconfig.tools.json', 'package-lock.json'];

/** A build that failed; the message is what the compiler said. */
export class BuildError extends Error {}

/**
 * Says why nothing was built, and sets the exit code.
 *
 * @param {unknown} error
 */
export function endUnbuilt(error) {
  const isExpected = [BuildError, InterruptedError, LockError].some((kind) => error instanceof kind);
  console.error(isExpected ? /** @type {Error} */ (error).message : error);
  process.exitCode = error instanceof InterruptedError ? error.exitCode : 1;
}

/** Builds when dist/ is missing or older than the sources. Without sources, as in an image, dist/ is taken as it is. */
export async function ensureBuilt() {
  if (isFresh()) return;
  await withLock(join(projectFolder, '.redial', 'build.lock'), async () => {
    // Somebody else may have built while we waited.
    if (isFresh()) return;
    console.error('Building …');
    await build();
  });
}

function isFresh() {
  const fingerprint = fingerprintSources();
  if (fingerprint === undefined) return true;
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === fingerprint;
}

async function build() {
  const fingerprint = fingerprintSources() ?? '';
  const next = `${projectFolder}/dist.next`;
  const last = `${projectFolder}/dist.last`;
  rmSync(next, { recursive: true, force: true });
  try {
    await compile(next);
    copyAssets(next);
    writeFileSync(join(next, '.stamp'), fingerprint);
    rmSync(last, { recursive: true, force: true });
    if (existsSync(dist)) renameSync(dist, last);
    renameSync(next, dist);
  } finally {
    for (const folder of [next, last]) rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} outDir */
async function compile(outDir) {
  const compiler = join(projectFolder, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(compiler))
    throw new BuildError(
      'dist/ is missing or older than the sources, and TypeScript is not installed to build it: run npm ci (without --omit=dev)',
    );
  // An image is built without tests and tools.
  const config = existsSync(join(projectFolder, 'tests')) ? 'tsconfig.tools.json' : 'tsconfig.build.json';
  const args = [compiler, '-p', config, '--outDir', outDir, '--noEmitOnError', '--pretty', 'false'];
  const { code, output } = await runKept(process.execPath, args, projectFolder);
  if (code !== 0) throw new BuildError(`The build failed:\n${output.trim()}`);
}

/**
 * What stands beside the TypeScript and is neither that nor text for people goes along as it is.
 *
 * @param {string} outDir
 */
function copyAssets(outDir) {
  for (const folder of [...productFolders, 'scripts']) {
    for (const file of listFiles(join(projectFolder, folder))) {
      if (/\.(ts|js|md)$/.test(file)) continue;
      cpSync(file, join(outDir, relative(projectFolder, file)));
    }
  }
}

/** Names, sizes and times of all sources in one hash; undefined when there are no sources. */
function fingerprintSources() {
  if (!existsSync(join(projectFolder, 'shared')) || !existsSync(join(projectFolder, 'tsconfig.build.json')))
    return undefined;
  const hash = createHash('sha256');
  const single = singleSources.map((name) => join(projectFolder, name)).filter((file) => existsSync(file));
  const sources = [...productFolders, ...toolFolders]
    .flatMap((folder) => listFiles(join(projectFolder, folder)))
    .filter((file) => !/\.test\.ts$|\.md$|\bbench\Wresults\b/.test(file));
  for (const file of [...single, ...sources]) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${relative(projectFolder, file)} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex');
}

/**
 * @param {string} folder
 * @returns {string[]}
 */
function listFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

if (import.meta.url === pathToFileURL(realpathSync(process.argv[1] ?? '.')).href) {
  ensureBuilt().catch(endUnbuilt);
}
