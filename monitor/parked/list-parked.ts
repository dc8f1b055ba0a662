import type { OutcomePrefixes } from '../../shared/domain/outcome/outcome-object.ts';
import { printable } from '../../shared/domain/printable.ts';
import { Archive } from '../../shared/pipeline/archive/archive.ts';
import { PatientObjects, type ReadableObjects } from '../../shared/pipeline/archive/patient-objects.ts';
import { repeatRead } from '../../shared/pipeline/readings/repeat-read.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import { unreadableProblems } from '../audit/unreadable-problems.ts';
import { type ParkedOptions, readParked } from './parked-messages.ts';
import { ParkedByReason, renderParked } from './parked-view.ts';

export interface ListParkedOptions extends ParkedOptions {
  /** QUEUE_NAME. */
  readonly queue: string;
  readonly prefixes: OutcomePrefixes;
  /** One JSON object for each message, oldest first, instead of the newest ones by reason. */
  readonly isJson: boolean;
}

/**
 * Writes what is parked.
 * @param write waits for a slow reader; false once nobody reads any more
 * @returns a sentence for each thing that keeps the list from being whole
 * @throws ServerUnavailableError where S3 cannot be read
 */
export async function listParked(
  servers: { readonly objects: ReadableObjects; readonly clock: Clock },
  options: ListParkedOptions,
  write: (text: string) => Promise<boolean>,
): Promise<string[]> {
  const { queue, prefixes, run } = options;
  const objects = new PatientObjects(servers.objects, repeatRead(servers.clock));
  const archive = new Archive(objects, prefixes, queue);
  const messages = readParked(archive, options);
  if (options.isJson) {
    for await (const message of messages)
      if (!(await write(`${printable(JSON.stringify(message))}\n`))) break;
    return unreadableProblems(archive.unreadable);
  }
  const parked = new ParkedByReason();
  for await (const message of messages) parked.add(message);
  const problems = unreadableProblems(archive.unreadable);
  await write(`${renderParked(parked, queue, run, problems)}\n`);
  return problems;
}
