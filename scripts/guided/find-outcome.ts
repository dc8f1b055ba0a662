import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

// The embedded server keeps the bytes of an object under its key with this ending.
const objectEnding = '._S3rver_object';

/**
 * A file of the embedded S3 server whose first line is an outcome of this run; undefined when there is none.
 * @param bucketFolder the server's folder of the bucket
 * @param prefixes looked at in this order
 */
export function findOutcomeFile(
  bucketFolder: string,
  prefixes: readonly string[],
  run: string,
): string | undefined {
  for (const prefix of prefixes) {
    const folder = join(bucketFolder, prefix);
    if (!existsSync(folder)) continue;
    // Names hold the time, so the newest are the last.
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort().reverse();
    const found = files
      .filter((name) => name.endsWith(`.ndjson${objectEnding}`))
      .find((name) => isOfRun(join(folder, name), run));
    if (found !== undefined) return join(folder, found);
  }
  return undefined;
}

function isOfRun(file: string, run: string): boolean {
  const [line = ''] = readFileSync(file, 'utf8').split('\n', 1);
  return (JSON.parse(line) as { run?: unknown }).run === run;
}
