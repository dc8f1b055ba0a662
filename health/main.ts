/** The health check of a container: exit 0 while the sender or monitor beside it touches its heartbeat file, else 1. */
import { findAilment } from '../shared/heartbeat.ts';

// Nothing of the configuration is loaded: this runs every few seconds beside each sender.
const ailment = findAilment(process.env.HEARTBEAT_FILE, Date.now());
if (ailment !== undefined) {
  process.stderr.write(`${ailment}\n`);
  process.exitCode = 1;
}
