import { printable } from '../shared/domain/printable.ts';
import { PatientObjects, type ReadableObjects } from '../shared/pipeline/archive/patient-objects.ts';
import type { Clock } from '../shared/ports.ts';
import { counted } from './figures.ts';
import { type ParkedMessage, type ParkedOptions, readParked } from './parked-messages.ts';
import { ParkedByReason, renderParked } from './parked-view.ts';
import { repeatRead } from './repeat-read.ts';
import { UnreadableObjects } from './unreadable-objects.ts';

export interface ListParkedOptions extends ParkedOptions {
  /** One JSON object for each message, oldest first, instead of the newest ones by reason. */
  readonly isJson: boolean;
}

const MAX_NAMED = 5;

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
  const objects = new PatientObjects(servers.objects, repeatRead(servers.clock));
  const unreadable = new UnreadableObjects();
  const messages = readParked(objects, options, (key, reason) => unreadable.add(key, reason));
  if (options.isJson) {
    for await (const message of messages) if (!(await write(jsonLine(message)))) break;
    return describeUnreadable(unreadable);
  }
  const parked = new ParkedByReason();
  for await (const message of messages) parked.add(message);
  const problems = describeUnreadable(unreadable);
  await write(`${renderParked(parked, options.queue, options.run, problems)}\n`);
  return problems;
}

function jsonLine(message: ParkedMessage): string {
  return `${printable(JSON.stringify(message))}\n`;
}

function describeUnreadable({ count, keys, firstReason }: UnreadableObjects): string[] {
  if (count === 0) return [];
  const named = `${keys.slice(0, MAX_NAMED).join(', ')}${count > MAX_NAMED ? ', …' : ''}`;
  return [
    `${counted(count, 'object', 'objects')} in S3 cannot be read (the first one ${firstReason}): ${named}`,
  ];
}
