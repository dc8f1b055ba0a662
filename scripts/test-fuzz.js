import { runScript } from './bootstrap.js';

await runScript('../tests/fuzz/main');
