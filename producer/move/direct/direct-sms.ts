/** `cancel` and `retry-now`, step by step, on what compose.ts connects. */
import { type Directive, directiveText } from '../../../shared/domain/sms/directive.ts';
import { decodeEnvelope } from '../../../shared/domain/sms/envelope.ts';
import type { IncomingMessage } from '../../../shared/domain/sms/message.ts';
import { pause } from '../../../shared/pipeline/waiting.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import type { Aim } from './directive-options.ts';
import { hasEnded, judgeCancel, judgeSentNow, type Result } from './judge-result.ts';

/** An SMS that waits in a queue, and the attempt it waits for. */
interface Waiting {
  readonly smsId: string;
  readonly attempt: number;
}

interface Look {
  readonly found: readonly Waiting[];
  readonly isWhole: boolean;
  pull(): Promise<void>;
  close(): Promise<void>;
}

export interface DirectParts {
  readonly store: {
    give(texts: readonly string[]): Promise<number>;
    countKnowing(number: number): Promise<number>;
    areMet(texts: readonly string[]): Promise<boolean[]>;
    statesOf(smsIds: readonly string[]): Promise<(string | undefined)[]>;
  };
  /** Retry and hold queues. */
  readonly queueNames: readonly string[];
  look(
    queueName: string,
    choose: (message: IncomingMessage) => Waiting | undefined,
  ): Promise<Look | undefined>;
  /** Senders that take SMS, as RabbitMQ sees them. */
  countSenders(): Promise<number>;
  readonly clock: Clock;
  readonly shutdown: AbortSignal;
}

export type NamedAim = Exclude<Aim, { kind: 'stdin' }>;

export interface Directed {
  readonly results: ReadonlyMap<string, Result>;
  /** SMS that waited and were sent to the senders. */
  readonly pulledCount: number;
  /** False where a queue was too long to be looked at whole. */
  readonly isWhole: boolean;
  readonly isCertain: boolean;
  readonly senderCount: number;
}

const ACKNOWLEDGED_WITHIN_MS = 5_000;
const ENDED_WITHIN_MS = 5_000;
const ASK_EVERY_MS = 200;
// A sender that did not know yet may put an SMS into a hold queue while the others are looked at.
const MAX_ROUNDS = 5;

/** @throws ServerUnavailableError, UsageError where there are too many directives */
export async function cancelSms(aim: NamedAim, parts: DirectParts): Promise<Directed> {
  const { store, shutdown } = parts;
  const ids = aim.kind === 'ids' ? aim.ids : [];
  const before = await store.statesOf(ids);
  const open = new Set(ids.filter((_, index) => !hasEnded(before[index])));
  const directives: Directive[] =
    aim.kind === 'run'
      ? [{ kind: 'cancel-run', run: aim.run }]
      : [...open].map((smsId) => ({ kind: 'cancel', smsId }));
  const known = await giveAndWait(directives, parts);
  const pulled = new Set<string>();
  let isWhole = true;
  for (let round = 1; directives.length > 0 && round <= MAX_ROUNDS && !shutdown.aborted; round += 1) {
    const looked = await pullFrom(chooserOf(aim, open), parts);
    isWhole = looked.isWhole;
    if (looked.found.length === 0) break;
    for (const { smsId } of looked.found) pulled.add(smsId);
  }
  const knowing = await waitForEnds([...open], parts);
  const results = new Map<string, Result>();
  for (const [index, id] of ids.entries()) {
    const now = knowing.get(id) ?? { state: before[index], isMet: false };
    const wasPulled = pulled.has(id);
    results.set(id, judgeCancel({ before: before[index], ...now, wasPulled, isCertain: known.isCertain }));
  }
  return { results, pulledCount: pulled.size, isWhole, ...known };
}

/** @throws ServerUnavailableError, UsageError where there are too many directives */
export async function sendSmsNow(aim: NamedAim, parts: DirectParts): Promise<Directed> {
  const ids = aim.kind === 'ids' ? aim.ids : [];
  const before = await parts.store.statesOf(ids);
  const looks: Look[] = [];
  let isWhole = true;
  // All stay in the hand until every sender knows of them: a sender that did not know would put them back.
  for (const name of parts.queueNames) {
    const look = await parts.look(name, chooserOf(aim, new Set(ids)));
    if (look === undefined) continue;
    isWhole &&= look.isWhole;
    if (look.found.length === 0) await look.close();
    else looks.push(look);
  }
  const found = looks.flatMap((look) => look.found);
  const directives = found.map(({ smsId, attempt }): Directive => ({ kind: 'send-now', smsId, attempt }));
  const known = await giveAndWait(directives, parts);
  for (const look of looks) await look.pull();
  const pulled = new Set(found.map(({ smsId }) => smsId));
  const results = new Map<string, Result>();
  for (const [index, id] of ids.entries()) {
    const state = before[index];
    const wasPulled = pulled.has(id);
    results.set(
      id,
      judgeSentNow({ before: state, state, isMet: false, wasPulled, isCertain: known.isCertain }),
    );
  }
  return { results, pulledCount: pulled.size, isWhole, ...known };
}

function chooserOf(aim: NamedAim, ids: ReadonlySet<string>) {
  return (message: IncomingMessage): Waiting | undefined => {
    const decoded = decodeEnvelope(message);
    if (decoded.kind === 'unreadable') return undefined;
    const { sms, attempt } = decoded.envelope;
    const isWanted = aim.kind === 'run' ? sms.run === aim.run : ids.has(sms.id);
    return isWanted ? { smsId: sms.id, attempt } : undefined;
  };
}

/** Writes the directives and waits until each sender knows them. */
async function giveAndWait(directives: readonly Directive[], parts: DirectParts) {
  const { store, clock, shutdown } = parts;
  if (directives.length === 0) return { isCertain: true, senderCount: await parts.countSenders() };
  const number = await store.give(directives.map(directiveText));
  const giveUpAtMs = clock.nowMs() + ACKNOWLEDGED_WITHIN_MS;
  for (;;) {
    const [senderCount, knowingCount] = await Promise.all([parts.countSenders(), store.countKnowing(number)]);
    const isCertain = senderCount <= knowingCount;
    if (isCertain || clock.nowMs() >= giveUpAtMs || shutdown.aborted) return { isCertain, senderCount };
    await pause(clock, ASK_EVERY_MS, shutdown);
  }
}

async function pullFrom(
  choose: (message: IncomingMessage) => Waiting | undefined,
  { queueNames, look }: DirectParts,
): Promise<{ readonly found: readonly Waiting[]; readonly isWhole: boolean }> {
  const found: Waiting[] = [];
  let isWhole = true;
  for (const name of queueNames) {
    const looked = await look(name, choose);
    if (looked === undefined) continue;
    found.push(...looked.found);
    isWhole &&= looked.isWhole;
    await looked.pull();
  }
  return { found, isWhole };
}

/** Waits a few seconds until all have ended, and tells what is known of each. */
async function waitForEnds(ids: readonly string[], { store, clock, shutdown }: DirectParts) {
  const texts = ids.map((smsId) => directiveText({ kind: 'cancel', smsId }));
  const giveUpAtMs = clock.nowMs() + ENDED_WITHIN_MS;
  for (;;) {
    // The note comes before the outcome: asked in this order, an outcome that a note belongs to has its note.
    const states = await store.statesOf(ids);
    const met = await store.areMet(texts);
    const known = new Map(
      ids.map((id, index) => [id, { state: states[index], isMet: met[index] === true }] as const),
    );
    const isOver = [...known.values()].every(
      ({ state, isMet }) => isMet || (hasEnded(state) && state !== 'failed'),
    );
    if (isOver || clock.nowMs() >= giveUpAtMs || shutdown.aborted) return known;
    await pause(clock, ASK_EVERY_MS, shutdown);
  }
}
