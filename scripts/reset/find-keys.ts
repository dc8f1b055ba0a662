import { RedisConnection } from '../../shared/adapters/redis/connection.ts';
import type { Config } from '../../shared/process/config/config.ts';
import { redisAddressOf, redisUrlOf } from '../../shared/process/config/redis.ts';
import { answersRedis } from '../servers/server-probes.ts';
import { type Finding, plural, silent } from './finding.ts';

type Redis = ReturnType<RedisConnection['session']>['redis'];

const keysAtOnce = 1_000;
const OPEN_DEADLINE_MS = 5_000;
// Long enough to learn that something other than Redis answers there.
const NOBODY_THERE_DEADLINE_MS = 500;

/** The Redis keys of this QUEUE_NAME. @throws ServerUnavailableError */
export async function findKeys(config: Config): Promise<Finding | undefined> {
  const count = await forEachPage(config, async () => {});
  if (count === 0) return undefined;
  return {
    sentence: `${plural(count, 'key')} ${config.queueName}:* of Redis at ${new URL(redisUrlOf(config)).host}`,
    async remove() {
      await forEachPage(config, (keys, redis) => redis.unlink(...keys));
    },
  };
}

/** @returns how many keys there are */
async function forEachPage(
  config: Config,
  work: (keys: string[], redis: Redis) => Promise<unknown>,
): Promise<number> {
  const address = redisAddressOf(config);
  const connection = new RedisConnection({ ...address, log: silent });
  await connection.open((await answersRedis(address.url)) ? OPEN_DEADLINE_MS : NOBODY_THERE_DEADLINE_MS);
  const { redis } = connection.session();
  try {
    const pattern = `${escapeGlob(config.queueName)}:*`;
    const seen = new Set<string>();
    let cursor = '0';
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', keysAtOnce);
      for (const key of keys) seen.add(key);
      if (keys.length > 0) await work(keys, redis);
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
