import { seconds } from './kinds.ts';
import { setting } from './setting.ts';

export const MONITOR = {
  monitorUpdateInterval: setting(
    'MONITOR_UPDATE_INTERVAL',
    '5',
    seconds(86_400),
    'time between two lines of the monitor',
    '--update-interval <seconds>',
  ),
};
