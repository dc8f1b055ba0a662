import { HOST, PORT } from './kinds.ts';
import { setting } from './setting.ts';

/** The metrics of each sender. Monitor and API serve theirs beside their pages. */
export const METRICS = {
  metricsHost: setting(
    'METRICS_HOST',
    '127.0.0.1',
    HOST,
    'address that a sender serves its metrics on; nobody is asked for a token',
  ),
  metricsPort: setting('METRICS_PORT', '', PORT, 'port of the metrics of a sender; unset: none'),
};
