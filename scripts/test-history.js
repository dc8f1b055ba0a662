import { runScript } from './bootstrap.js';

await runScript('../tests/history/main');
