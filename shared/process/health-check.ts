/** The health check of a container: exit 0 while the sender or monitor beside it touches its health file, else 1. */
import { findAilment } from './health-file.ts';

// This runs every few seconds beside each sender, so it loads nothing of the configuration.
const ailment = findAilment(process.env.HEARTBEAT_FILE, Date.now());
if (ailment !== undefined) {
  process.stderr.write(`${ailment}\n`);
  process.exitCode = 1;
}
