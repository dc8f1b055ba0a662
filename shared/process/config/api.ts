import { HOST, oneOf, PORT } from './kinds.ts';
import { TOKEN } from './listening.ts';
import { secret, setting } from './setting.ts';

/** The HTTP API of `producer serve`. */
export const API = {
  apiHost: setting(
    'API_HOST',
    '127.0.0.1',
    HOST,
    'address that the HTTP API listens on; beyond loopback it needs API_TOKEN',
    '--host <address>',
  ),
  apiPort: setting('API_PORT', '8080', PORT, 'port of the HTTP API', '--port <number>'),
  apiToken: secret(
    'API_TOKEN',
    '',
    TOKEN,
    'bearer token that requests must carry; unset: loopback only; none: nobody is asked',
  ),
  apiNumbers: setting(
    'API_NUMBERS',
    'possible',
    oneOf(['possible', 'e164']),
    'what the HTTP API asks of `to`: a possible number of its country, or E.164 alone',
  ),
};
