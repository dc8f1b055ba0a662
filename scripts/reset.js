import { runScript } from './bootstrap.js';

await runScript('reset');
