import { HOST, oneOf, PORT, textLike } from './kinds.ts';
import { secret, setting } from './setting.ts';

/** As API_TOKEN: whoever reaches the API may use it, because something else keeps others out. */
export const NO_TOKEN = 'none';

const TOKEN = textLike(
  'token',
  /^([\x21-\x7e]{16,512}|none)$/,
  'must be 16 to 512 printable ASCII characters without blanks, or none',
);

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
