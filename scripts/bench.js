import { runScript } from './bootstrap.js';

await runScript('../bench/main');
