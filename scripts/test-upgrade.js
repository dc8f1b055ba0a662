import { runScript } from './bootstrap.js';

await runScript('../tests/rolling-upgrade/main');
