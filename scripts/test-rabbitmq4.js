import { runScript } from './bootstrap.js';

await runScript('run-rabbitmq-4-tests');
