#!/usr/bin/env node
/** The monitor: reads counters, queues and, for the audit, the outcomes. It changes nothing anywhere, but for the last hour that a page keeps. */
import { readCommandLine } from '../shared/process/command-line.ts';
import { loadConfig } from '../shared/process/config/config.ts';
import { findProjectFolder, readEnvironment } from '../shared/process/environment.ts';
import { EXIT, runToExit } from '../shared/process/exit-code.ts';
import { compose } from './compose.ts';
import { declareOptions, judgeOptions } from './monitor-options.ts';

await runToExit(async () => {
  const commandLine = readCommandLine(
    'monitor',
    'Shows what is accepted, in progress, sent, failed and parked, how fast, and what waits in the queues.',
    ['monitorUpdateInterval', 'monitorPort', 'monitorHost'],
    declareOptions,
    process.argv.slice(2),
  );
  if (commandLine === undefined) return EXIT.done;
  const options = judgeOptions(commandLine.options, commandLine.settings);
  const config = loadConfig(readEnvironment(findProjectFolder()), commandLine.settings);
  const command = await compose(config, options);
  try {
    return await command.run();
  } finally {
    command.close();
  }
});
