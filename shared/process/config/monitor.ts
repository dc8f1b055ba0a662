import { HOST, PORT, seconds } from './kinds.ts';
import { TOKEN } from './listening.ts';
import { secret, setting } from './setting.ts';

export const MONITOR = {
  monitorUpdateInterval: setting(
    'MONITOR_UPDATE_INTERVAL',
    '5',
    seconds(86_400),
    'time between two lines of the monitor; the live screen looks at least each second',
    '--update-interval <seconds>',
  ),
  monitorHost: setting(
    'MONITOR_HOST',
    '127.0.0.1',
    HOST,
    "address that the monitor's page listens on; beyond loopback it needs MONITOR_TOKEN",
    '--host <address>',
  ),
  monitorPort: setting(
    'MONITOR_PORT',
    '',
    PORT,
    "port of the monitor's page, /snapshot and /metrics; unset: no page",
    '--port <number>',
  ),
  monitorToken: secret(
    'MONITOR_TOKEN',
    '',
    TOKEN,
    'token that the page asks for, and that other requests carry; unset: loopback only; none: nobody is asked',
  ),
};
