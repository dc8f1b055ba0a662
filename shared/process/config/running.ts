import { anyText, HOST, oneOf, PORT, seconds } from './kinds.ts';
import { setting } from './setting.ts';

/** How a process runs, whatever it does. */
export const RUNNING = {
  shutdownTimeout: setting('SHUTDOWN_TIMEOUT', '30', seconds(86_400), 'time a sender has to drain'),
  healthFile: setting(
    'HEARTBEAT_FILE',
    '',
    anyText('path'),
    'touched every 5 s by a sender or an HTTP API that is connected to RabbitMQ, and by a monitor; unset: none',
  ),
  metricsHost: setting(
    'METRICS_HOST',
    '127.0.0.1',
    HOST,
    'address that a sender serves its metrics on; nobody is asked for a token',
  ),
  metricsPort: setting('METRICS_PORT', '', PORT, 'port of the metrics of a sender; unset: none'),
  logLevel: setting(
    'LOG_LEVEL',
    'info',
    oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'least level that is logged',
  ),
  logFormat: setting('LOG_FORMAT', '', oneOf(['json', 'pretty']), 'unset: pretty on a terminal, else json'),
  logFile: setting(
    'LOG_FILE',
    '',
    anyText('path'),
    'the log also goes there, as json, a new file each day and at 10 MB; unset: none',
  ),
};
