import { anyText, HOST, PORT, url } from './kinds.ts';
import { secret, setting, type ValuesOf } from './setting.ts';

/** Where Redis is. */
export const REDIS = {
  redisUrl: secret('REDIS_URL', '', url('redis', 'rediss'), 'wins over the parts'),
  redisHost: setting('REDIS_HOST', 'localhost', HOST, 'where Redis runs'),
  redisPort: setting('REDIS_PORT', '6379', PORT, 'port of Redis'),
  redisPassword: secret('REDIS_PASSWORD', '', anyText(), 'password of Redis; unset: none'),
};

/** The Redis URL, credentials included: never print it. */
export function redisUrlOf(config: ValuesOf<typeof REDIS>): string {
  const { redisUrl, redisHost, redisPort, redisPassword } = config;
  if (redisUrl !== undefined) return redisUrl;
  const credentials = redisPassword === undefined ? '' : `:${encodeURIComponent(redisPassword)}@`;
  return `redis://${credentials}${redisHost}:${redisPort}`;
}
