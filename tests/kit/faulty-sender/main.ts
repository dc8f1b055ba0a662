/** The sender as it is, with the faults around its ports that the environment names (injected-faults.ts). */
import { SenderProcess } from '../../../sender/compose.ts';
import { loadConfig } from '../../../shared/process/config/config.ts';
import { findProjectFolder, readEnvironment } from '../../../shared/process/environment.ts';
import { runToExit } from '../../../shared/process/exit-code.ts';
import { createLogger } from '../../../shared/process/logger.ts';
import { listenForShutdown } from '../../../shared/process/shutdown.ts';
import { seamWithFaults } from './injected-faults.ts';

await runToExit(async () => {
  const seam = seamWithFaults(process.env, () => process.kill(process.pid, 'SIGKILL'));
  const config = loadConfig(readEnvironment(findProjectFolder()));
  const { logLevel: level, logFile: file } = config;
  const log = createLogger({ name: 'sender', level, format: 'json', file, fileDescriptor: 1 });
  log.warn({}, 'faults are injected: SMS will be lost or repeated');
  return new SenderProcess(config, log, seam).run(listenForShutdown());
});
