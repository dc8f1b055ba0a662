/** Journal messages in the parked queue: what S3 refuses for good waits there for people, with a reason. */
import { decodeJournal, type JournalEntry } from '../../../shared/domain/outcome/journal.ts';
import type { IncomingMessage } from '../../../shared/domain/sms/message.ts';
import { ROUTING_KEYS } from '../../../shared/domain/topology/topology.ts';
import { PREFIXES } from '../../../shared/rehearsal/simulated-process.ts';
import type { FaultyWorld } from './faulty-world.ts';
import { POISON } from './poison.ts';
import { PARKED_AFTER_MS, type Trouble } from './troubles.ts';

export interface ParkedJournalMessage {
  readonly message: IncomingMessage;
  readonly entries: readonly JournalEntry[];
  /** Milliseconds since the world began. */
  readonly atMs: number;
}

export function isPoison({ body }: IncomingMessage): boolean {
  return body.equals(POISON);
}

export function parkedJournalOf({ world: { broker } }: FaultyWorld): ParkedJournalMessage[] {
  const journalled = new Set(broker.queue(ROUTING_KEYS.journal).taken.map(({ body }) => body.toString()));
  const parked = broker.queue(ROUTING_KEYS.parked);
  return parked.taken.flatMap((message, index) => {
    if (isPoison(message) || !journalled.has(message.body.toString())) return [];
    const entries = decodeJournal(message.body).entries;
    return [{ message, entries, atMs: parked.takenAtMs[index] ?? 0 }];
  });
}

/** Bodies of all journal messages that were parked, for whatever reason: each has a record of its own. */
export function parkedJournalBodiesOf(faulty: FaultyWorld): Buffer[] {
  return [POISON, ...parkedJournalOf(faulty).map(({ message }) => message.body)];
}

/** The SMS whose outcomes they hold. */
export function smsIdsIn(parked: readonly ParkedJournalMessage[]): Set<string> {
  const entries = parked.flatMap((each) => each.entries);
  return new Set(entries.flatMap((entry) => (entry.kind === 'outcome' ? entry.record.smsId : [])));
}

/** The runs whose announcements they hold. */
export function runsIn(parked: readonly ParkedJournalMessage[]): Set<string> {
  const entries = parked.flatMap((each) => each.entries);
  return new Set(entries.flatMap((entry) => (entry.kind === 'accepted' ? entry.announcement.run : [])));
}

/** Each says what it is and why it lies there, and only what was refused for a minute lies there. */
export function judgeParkedJournal(
  { scenario }: FaultyWorld,
  parked: readonly ParkedJournalMessage[],
): string[] {
  return parked.flatMap(({ message, entries }) => {
    const name = `the parked journal message ${message.messageId}`;
    const reason = message.headers['parked-reason'];
    const isRefused = entries.some((entry) => isRefusedForLong(scenario.troubles, prefixOf(entry)));
    return [
      ...(message.type === 'journal' ? [] : [`${name} has the type ${message.type}`]),
      ...(typeof reason === 'string' && reason !== '' ? [] : [`${name} does not say why`]),
      ...(isRefused ? [] : [`${name} holds nothing that S3 refused for a minute`]),
    ];
  });
}

function prefixOf(entry: JournalEntry): string | undefined {
  if (entry.kind === 'accepted') return 'runs/';
  return entry.kind === 'outcome' ? `${PREFIXES[entry.record.status]}/` : undefined;
}

/** A way that refuses everything is an outage; it adds to the time for which a prefix is refused. */
function isRefusedForLong(troubles: readonly Trouble[], prefix: string | undefined): boolean {
  const denials = troubles.filter(
    (each) => each.manner === 'denied' && (each.prefix === prefix || each.prefix === ''),
  );
  const sumMs = denials.reduce((sum, { durationMs }) => sum + (durationMs ?? Number.POSITIVE_INFINITY), 0);
  return denials.some((each) => each.prefix === prefix) && sumMs >= PARKED_AFTER_MS;
}
