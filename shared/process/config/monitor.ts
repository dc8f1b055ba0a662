import { seconds } from './kinds.ts';
import { setting } from './setting.ts';

export const MONITOR = {
  monitorUpdateInterval: setting(
    'MONITOR_UPDATE_INTERVAL',
    '5',
    seconds(86_400),
    'time between two lines of the monitor; the live screen looks at least each second',
    '--update-interval <seconds>',
  ),
};
