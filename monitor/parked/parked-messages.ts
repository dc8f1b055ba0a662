/**
 * What is parked, as its records under `parked/` in S3 tell. Records are streamed: the objects that are read ahead and the
 * ids of the newest records are in memory, whatever S3 holds.
 */
import type { OutcomeRecord } from '../../shared/domain/outcome/outcome.ts';
import { printable } from '../../shared/domain/printable.ts';
import type { Archive } from '../../shared/pipeline/archive/archive.ts';

/** One parked message. Key order is that of the JSON. */
export interface ParkedMessage {
  /** The id of its record, which the header `parked-id` of the message in the parked queue names. */
  readonly smsId: string;
  /** The message id as its client set it; null where it set none, or where the record is too old to tell. */
  readonly messageId: string | null;
  readonly run: string;
  readonly reason: string;
  /** When it was parked, ISO 8601. */
  readonly at: string;
  /** The length of its body; null where the record is too old to tell. */
  readonly bytes: number | null;
  readonly contentType: string | null;
  readonly contentEncoding: string | null;
  /** The first characters of its body, where they were asked for. */
  readonly body?: string;
}

export interface ParkedOptions {
  /** KEEP_TIME: an id that was parked again after it is another SMS. */
  readonly keepTimeMs: number;
  readonly run?: string | undefined;
  /** Bodies hold phone numbers and texts. */
  readonly areBodiesShown: boolean;
}

const BODY_CHARACTERS = 60;
// Of UTF-8 a character takes four bytes at most.
const BODY_BYTES = 4 * BODY_CHARACTERS;
/** A second record of one message stems from a crash and lies near the first. */
const IDS_REMEMBERED = 100_000;

/** Oldest first. @throws what the store throws */
export async function* readParked(
  archive: Archive,
  { keepTimeMs, run, areBodiesShown }: ParkedOptions,
): AsyncGenerator<ParkedMessage> {
  const repeats = new Repeats(keepTimeMs);
  for await (const { records } of archive.outcomes(['parked'])) {
    for (const record of records) {
      const isAsked = run === undefined || record.run === run;
      if (isAsked && !repeats.isOne(record)) yield parkedMessageOf(record, areBodiesShown);
    }
  }
}

function parkedMessageOf(record: OutcomeRecord, isBodyShown: boolean): ParkedMessage {
  const { smsId, messageId, run, reason = '', finishedAt, rawBytes, contentType, contentEncoding } = record;
  return {
    smsId,
    messageId: messageId === undefined || messageId === '' ? null : messageId,
    run,
    reason,
    at: finishedAt,
    bytes: rawBytes ?? null,
    contentType: contentType ?? null,
    contentEncoding: contentEncoding ?? null,
    ...(isBodyShown ? { body: beginningOf(record.raw ?? '') } : {}),
  };
}

/** Characters a terminal would obey are written out; bytes that are no UTF-8 are U+FFFD. */
function beginningOf(base64: string): string {
  const bytes = Buffer.from(base64, 'base64');
  const characters = [...bytes.subarray(0, BODY_BYTES).toString('utf8')];
  const isWhole = bytes.length <= BODY_BYTES && characters.length <= BODY_CHARACTERS;
  return `${printable(characters.slice(0, BODY_CHARACTERS).join(''))}${isWhole ? '' : '…'}`;
}

/** Finds the second record of one message. */
class Repeats {
  readonly #keepTimeMs: number;
  readonly #parkedAtMs = new Map<string, number>();

  constructor(keepTimeMs: number) {
    this.#keepTimeMs = keepTimeMs;
  }

  isOne({ smsId, finishedAt }: OutcomeRecord): boolean {
    const atMs = Date.parse(finishedAt) || 0;
    const beforeMs = this.#parkedAtMs.get(smsId);
    if (beforeMs !== undefined && Math.abs(atMs - beforeMs) < this.#keepTimeMs) return true;
    this.#parkedAtMs.delete(smsId);
    this.#parkedAtMs.set(smsId, atMs);
    const [oldest] = this.#parkedAtMs.keys();
    if (this.#parkedAtMs.size > IDS_REMEMBERED && oldest !== undefined) this.#parkedAtMs.delete(oldest);
    return false;
  }
}
