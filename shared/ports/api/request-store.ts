/** A request that is to become one SMS however often it is made. */
export interface RequestClaim {
  /** `id:` and the id, or `key:` and a digest of the Idempotency-Key. */
  readonly name: string;
  /** Of everything that was asked for. */
  readonly digest: string;
  /** The id that its SMS gets. */
  readonly smsId: string;
  /** What is told of the SMS until recorders meet it: JSON without phone number and text, see told-sms.ts. */
  readonly told: string;
  /** Digest of the content as recorders tell it; empty where the client chose no id. */
  readonly contentDigest: string;
}

/**
 * - claimed: the request is yours, with the id that you gave
 * - taken over: it is yours, with the id of a claim whose time was over: its SMS may be with RabbitMQ already
 * - done: it was made before, and its SMS was accepted
 * - open: somebody else is at it
 * - other: the key or the id belongs to another request, or to an SMS with another content
 * - known: recorders have met an SMS with this id and content
 */
export type ClaimAnswer = 'claimed' | 'taken over' | 'done' | 'open' | 'other' | 'known';

/** Remembers requests. All calls reject with ServerUnavailableError. */
export interface RequestStore {
  /** @returns the answer and the id of the SMS that the request is, or was, for */
  claim(
    claim: RequestClaim,
    keepSeconds: number,
  ): Promise<{ readonly answer: ClaimAnswer; readonly smsId: string }>;
  /** The SMS of a claimed request is accepted. */
  finish(claim: RequestClaim, keepSeconds: number): Promise<void>;
  /** Nobody knows whether a claimed request became an SMS: the next one who claims it does so at once, with the same id. */
  letGo(claim: RequestClaim): Promise<void>;
  /** A claimed request did not become an SMS: it may be made anew. */
  release(claim: RequestClaim): Promise<void>;
}
