import { S3ObjectStore, type S3Options } from '../../shared/adapters/s3/object-store.ts';
import { type Config, outcomePrefixesOf, s3OptionsOf } from '../../shared/config.ts';
import { RUNS_PREFIX } from '../../shared/domain/outcome-object.ts';
import { fetchAhead, KEYS_PER_PAGE } from '../../shared/pipeline/archive/outcome-objects.ts';
import { isBucketMissing } from '../../shared/pipeline/archive/patient-objects.ts';
import { readAhead } from '../../shared/pipeline/archive/read-ahead.ts';
import { type Finding, plural } from './finding.ts';

/**
 * The S3 objects of this QUEUE_NAME: outcome objects and announcements whose first line says so. Several pipelines may
 * share a bucket, and every object is of one of them.
 * @throws ServerUnavailableError
 */
export async function findObjects(config: Config): Promise<Finding | undefined> {
  const options = s3OptionsOf(config);
  const keysOfQueue = (store: S3ObjectStore) =>
    listKeysOfQueue(store, [...Object.values(outcomePrefixesOf(config)), RUNS_PREFIX], config.queueName);
  const keyCount = await withStore(options, async (store) => {
    let count = 0;
    for await (const _ of keysOfQueue(store)) count += 1;
    return count;
  });
  if (keyCount === undefined || keyCount === 0) return undefined;
  return {
    sentence: `${plural(keyCount, 'object')} of queue ${config.queueName} in the bucket ${options.bucket} at ${options.endpoint ?? 'AWS'}`,
    async remove() {
      await withStore(options, async (store) => {
        for await (const key of keysOfQueue(store)) await store.remove(key);
      });
    },
  };
}

// Listed anew to be removed: a long history has more keys than fit into memory.
async function* listKeysOfQueue(
  store: S3ObjectStore,
  prefixes: readonly string[],
  queueName: string,
): AsyncGenerator<string> {
  for (const prefix of prefixes) {
    for await (const { key, body } of fetchAhead(store, namedKeys(store, prefix)))
      if (isOfQueue(body, queueName)) yield key;
  }
}

async function* namedKeys(store: S3ObjectStore, prefix: string): AsyncGenerator<{ key: string }> {
  for await (const key of readAhead(store.list(`${prefix}/`), KEYS_PER_PAGE)) yield { key };
}

/** Whether the first line of an object names this queue; false for what is none of ours. */
export function isOfQueue(body: Buffer | undefined, queueName: string): boolean {
  const [line = ''] = (body?.toString('utf8') ?? '').split('\n', 1);
  try {
    return (JSON.parse(line) as { queue?: unknown } | null)?.queue === queueName;
  } catch {
    return false;
  }
}

/** A bucket that is missing holds nothing. */
async function withStore<Value>(
  options: S3Options,
  use: (store: S3ObjectStore) => Promise<Value>,
): Promise<Value | undefined> {
  const store = new S3ObjectStore(options);
  try {
    return await use(store);
  } catch (error) {
    if (isBucketMissing(error)) return undefined;
    throw error;
  } finally {
    store.close();
  }
}
