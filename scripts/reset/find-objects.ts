import { S3ObjectStore } from '../../shared/adapters/s3/object-store.ts';
import { Archive } from '../../shared/pipeline/archive/archive.ts';
import type { Config } from '../../shared/process/config/config.ts';
import { outcomePrefixesOf, s3OptionsOf } from '../../shared/process/config/s3.ts';
import { type Finding, plural } from './finding.ts';

/**
 * The S3 objects of this QUEUE_NAME: all whose first line names it. Several pipelines may share a bucket, and every
 * object is of one of them. A bucket that is missing holds nothing.
 * @throws ServerUnavailableError
 */
export async function findObjects(config: Config): Promise<Finding | undefined> {
  const { bucket, endpoint = 'AWS' } = s3OptionsOf(config);
  const keyCount = await forEachKey(config, async () => {});
  if (keyCount === 0) return undefined;
  return {
    sentence: `${plural(keyCount, 'object')} of queue ${config.queueName} in the bucket ${bucket} at ${endpoint}`,
    // Listed anew: a long history has more keys than fit into memory.
    async remove() {
      await forEachKey(config, (key, store) => store.remove(key));
    },
  };
}

/** @returns how many there are */
async function forEachKey(
  config: Config,
  work: (key: string, store: S3ObjectStore) => Promise<void>,
): Promise<number> {
  const store = new S3ObjectStore(s3OptionsOf(config));
  try {
    let count = 0;
    for await (const key of new Archive(store, outcomePrefixesOf(config), config.queueName).keys()) {
      await work(key, store);
      count += 1;
    }
    return count;
  } finally {
    store.close();
  }
}
