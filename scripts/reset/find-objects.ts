import { S3ObjectStore, type S3Options } from '../../shared/adapters/s3/object-store.ts';
import { type Config, outcomePrefixesOf, s3OptionsOf } from '../../shared/config.ts';
import { RUNS_PREFIX } from '../../shared/domain/outcome-object.ts';
import { RedialError } from '../../shared/errors.ts';
import { type Finding, plural } from './finding.ts';

/**
 * The S3 objects of this QUEUE_NAME: outcome objects and announcements whose first line says so. Several pipelines may
 * share a bucket, and every object is of one of them.
 * @throws ServerUnavailableError
 */
export async function findObjects(config: Config): Promise<Finding | undefined> {
  const options = s3OptionsOf(config);
  const store = new S3ObjectStore(options);
  const prefixes = [...Object.values(outcomePrefixesOf(config)), RUNS_PREFIX];
  const keys: string[] = [];
  try {
    for (const prefix of prefixes)
      for await (const key of store.list(`${prefix}/`))
        if (isOfQueue(await store.get(key), config.queueName)) keys.push(key);
  } catch (error) {
    if (error instanceof RedialError && error.code === 'NO_BUCKET') return undefined;
    throw error;
  } finally {
    store.close();
  }
  if (keys.length === 0) return undefined;
  return {
    sentence: `${plural(keys.length, 'object')} of queue ${config.queueName} in the bucket ${options.bucket} at ${options.endpoint ?? 'AWS'}`,
    remove: () => removeObjects(options, keys),
  };
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

async function removeObjects(options: S3Options, keys: readonly string[]): Promise<void> {
  const store = new S3ObjectStore(options);
  try {
    for (const key of keys) await store.remove(key);
  } finally {
    store.close();
  }
}
