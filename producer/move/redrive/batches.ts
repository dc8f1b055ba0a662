/** How many SMS are sent before their outcomes are looked at, and what is written down of them. */
import { parseJson } from '../../../shared/domain/parse-json.ts';
import type { OutgoingMessage } from '../../../shared/domain/sms/message.ts';
import { isSmsId } from '../../../shared/domain/sms/sms.ts';
import { redriveRoutingKey } from '../../../shared/domain/topology/redrive-queue.ts';

const SIZES = [1, 2, 5, 20, 100, 500, 2_000] as const;
export const MAX_BATCH_SIZE = 5_000;
/** RabbitMQ closes the channel of a consumer that holds a delivery for half an hour. */
const MAX_RELEASE_SECONDS = 600;

/** @param index from 0 @param smsPerSecond undefined: as fast as it goes */
export function batchSizeOf(index: number, smsPerSecond: number | undefined): number {
  const size = SIZES[index] ?? MAX_BATCH_SIZE;
  return Math.max(1, Math.min(size, Math.floor((smsPerSecond ?? Infinity) * MAX_RELEASE_SECONDS)));
}

/** True where the cause of the failures is not mended. */
export function isStopped(failedCount: number, size: number): boolean {
  return failedCount * 2 > size;
}

/**
 * A batch that is staged as a whole. It stands behind its SMS in the queue, until the ledger of the next batch stands there.
 * So an SMS in the queue that no ledger names is of a batch that was never begun.
 */
export interface Ledger {
  readonly ids: readonly string[];
  /** SMS of the run that were sent before this batch. */
  readonly acceptedBefore: number;
  readonly atMs: number;
}

export function encodeLedger(ledger: Ledger, run: string): OutgoingMessage {
  return {
    routingKey: redriveRoutingKey(run),
    messageId: `${run}-ledger`,
    type: 'ledger',
    contentType: 'application/json',
    timestampMs: ledger.atMs,
    headers: {},
    body: Buffer.from(JSON.stringify(ledger)),
  };
}

/** Undefined where the body is no ledger. */
export function readLedger(body: Buffer): Ledger | undefined {
  const value = parseJson(body.toString()) as Partial<Ledger> | null | undefined;
  const { ids, acceptedBefore, atMs } = value ?? {};
  const isLedger =
    Array.isArray(ids) &&
    ids.every(isSmsId) &&
    Number.isSafeInteger(acceptedBefore) &&
    Number.isSafeInteger(atMs);
  return isLedger ? (value as Ledger) : undefined;
}
