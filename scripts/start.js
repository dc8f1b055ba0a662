import { runScript } from './bootstrap.js';

await runScript('guided-run');
