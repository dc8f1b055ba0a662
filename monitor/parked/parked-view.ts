import { counted } from '../../shared/domain/format-count.ts';
import { printable } from '../../shared/domain/printable.ts';
import { queueNameOf, ROUTING_KEYS } from '../../shared/domain/topology/topology.ts';
import type { ParkedMessage } from './parked-messages.ts';

const NEWEST_SHOWN = 3;
/** Senders write a few reasons. Records that other software wrote may hold any number of them. */
const MAX_REASONS = 100;
const OTHER_REASONS = 'other reasons';

interface Group {
  readonly reason: string;
  count: number;
  /** Newest first. */
  newest: readonly ParkedMessage[];
}

/** Parked messages by reason: how many, and the newest ones. */
export class ParkedByReason {
  readonly #groups = new Map<string, Group>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The largest first. */
  get groups(): readonly Group[] {
    return [...this.#groups.values()].sort((left, right) => right.count - left.count);
  }

  add(message: ParkedMessage): void {
    this.#count += 1;
    const isRoom = this.#groups.size < MAX_REASONS || this.#groups.has(message.reason);
    const reason = isRoom ? message.reason : OTHER_REASONS;
    const group = this.#groups.get(reason) ?? { reason, count: 0, newest: [] };
    this.#groups.set(reason, group);
    group.count += 1;
    group.newest = [message, ...group.newest].sort(byAge).slice(0, NEWEST_SHOWN);
  }
}

function byAge(left: ParkedMessage, right: ParkedMessage): number {
  if (left.at === right.at) return 0;
  return left.at > right.at ? -1 : 1;
}

/** What is parked, for people. @param queue QUEUE_NAME */
export function renderParked(
  parked: ParkedByReason,
  queue: string,
  run: string | undefined,
  problems: readonly string[],
): string {
  const scope = run === undefined ? '' : `, run "${run}"`;
  return [
    `Parked messages of queue "${queue}"${scope}`,
    ...parked.groups.flatMap(renderGroup),
    ...problems.map((problem) => `  problem: ${problem}`),
    describeCure(parked.count, queue),
  ]
    .map(printable)
    .join('\n');
}

function renderGroup({ reason, count, newest }: Group): string[] {
  const title = `  ${counted(count, 'message', 'messages')}: ${reason}`;
  return [title, ...newest.map(renderMessage), ...(count > newest.length ? ['    …'] : [])];
}

function renderMessage({ smsId, messageId, run, at, bytes, contentEncoding, body }: ParkedMessage): string {
  const isOfRecord = messageId === null || messageId === smsId;
  const id = isOfRecord ? smsId : `${messageId} (recorded as ${smsId})`;
  const size = bytes === null ? '' : `  ${counted(bytes, 'byte', 'bytes')}`;
  const encoding = contentEncoding === null ? '' : `  ${contentEncoding}`;
  return `    ${at}  ${id}  run ${run}${size}${encoding}${body === undefined ? '' : `  ${body}`}`;
}

function describeCure(count: number, queue: string): string {
  if (count === 0) return 'Nothing is parked.';
  const parkedQueue = queueNameOf(queue, ROUTING_KEYS.parked);
  return (
    `${counted(count, 'message is', 'messages are')} parked. Mend what the reason names, and send the SMS again under ` +
    `another id. The messages lie in ${parkedQueue}; their header parked-id is the id of the record.`
  );
}
