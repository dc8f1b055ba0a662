import { runScript } from './bootstrap.js';

await runScript('../tests/steady/main');
