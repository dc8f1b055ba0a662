import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import { type Config, redisUrlOf } from '../../shared/config.ts';
import { answersRedis } from '../servers/server-probes.ts';
import { type Finding, plural, silent } from './finding.ts';

const keysAtOnce = 1_000;
const OPEN_DEADLINE_MS = 5_000;
// Long enough to learn of something else that answers there.
const NOBODY_THERE_DEADLINE_MS = 500;

/** The Redis keys of this QUEUE_NAME. @throws ServerUnavailableError */
export async function findKeys(config: Config): Promise<Finding | undefined> {
  const url = redisUrlOf(config);
  const pattern = `${escapeGlob(config.queueName)}:*`;
  const count = await forEachBatch(url, pattern, async () => {});
  if (count === 0) return undefined;
  return {
    sentence: `${plural(count, 'key')} ${config.queueName}:* of Redis at ${new URL(url).host}`,
    async remove() {
      await forEachBatch(url, pattern, (keys, unlink) => unlink(keys));
    },
  };
}

async function forEachBatch(
  url: string,
  pattern: string,
  work: (keys: string[], unlink: (keys: string[]) => Promise<void>) => Promise<void>,
): Promise<number> {
  const connection = new RedisConnection({ url, log: silent });
  await connection.open((await answersRedis(url)) ? OPEN_DEADLINE_MS : NOBODY_THERE_DEADLINE_MS);
  const { redis } = connection.session();
  const unlink = async (keys: string[]) => {
    if (keys.length > 0) await redis.unlink(...keys);
  };
  try {
    const seen = new Set<string>();
    let cursor = '0';
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', keysAtOnce);
      for (const key of keys) seen.add(key);
      await work(keys, unlink);
      cursor = next;
    } while (cursor !== '0');
    return seen.size;
  } finally {
    connection.close();
  }
}

/** A QUEUE_NAME may hold no glob characters today, but what is deleted must never depend on that. */
function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&');
}
