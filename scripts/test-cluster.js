import { runScript } from './bootstrap.js';

await runScript('../tests/faults/cluster-main');
