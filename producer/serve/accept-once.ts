/**
 * Accepts an SMS, and makes the same request, made again, the same SMS: by its Idempotency-Key for a day, and by the id that
 * its client chose. A request is claimed in Redis before its SMS is published, and done once the SMS is accepted:
 *
 *   (nothing) --claim--> open --accepted--> done --a day--> (nothing)
 *                        open --not accepted--> (nothing)
 *                        open --RabbitMQ may have taken it, or the process died 30 s ago--> claimed anew, with the id that it had
 */
import { CONTENT_DIGEST_DIGITS, contentOf } from '../../shared/domain/outcome/outcome.ts';
import { wishesOf } from '../../shared/domain/sms/sending-request.ts';
import { ServerUnavailableError } from '../../shared/errors.ts';
import { encodeTold } from '../../shared/pipeline/story/told-sms.ts';
import { pause } from '../../shared/pipeline/waiting.ts';
import type { RequestClaim, RequestStore } from '../../shared/ports/api/request-store.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { AskedSms, NamedSms, NotAcceptedError, SmsIntake } from './sms-intake.ts';

export interface OnceParts {
  readonly intake: SmsIntake;
  readonly requests: RequestStore;
  readonly clock: Clock;
  readonly digest: (text: string) => string;
}

/** An SMS as a client asks for it, and how it says which request this is. */
export interface OnceRequest extends AskedSms {
  readonly idempotencyKey?: string | undefined;
  /** All that was asked for, as it was written. */
  readonly asWritten: string;
}

export interface Accepted {
  readonly id: string;
  /** Undefined for a request that was made before. */
  readonly acceptedAtMs: number | undefined;
  readonly notBeforeMs: number | undefined;
  readonly isRepeated: boolean;
}

/** The request cannot be the same as the one that was made before with its key or id, or that one is not answered yet. */
export class ConflictError extends Error {
  readonly kind: 'key' | 'id' | 'open';

  constructor(kind: 'key' | 'id' | 'open') {
    super(`conflict: ${kind}`);
    this.kind = kind;
  }
}

const KEEP_SECONDS = 86_400;
const DIGEST_DIGITS = 16;
const OPEN_WAIT_MS = 10_000;
const ASK_AGAIN_MS = 50;

/** A claim that is ours. */
interface HeldClaim extends RequestClaim {
  /** Its SMS may be with RabbitMQ already, and must keep its id. */
  readonly isTakenOver: boolean;
}

export class AcceptOnce {
  readonly #parts: OnceParts;

  constructor(parts: OnceParts) {
    this.#parts = parts;
  }

  /** @throws NotAcceptedError, ConflictError, ServerUnavailableError where Redis must be asked and does not answer */
  async accept(request: OnceRequest): Promise<Accepted> {
    const named = this.#parts.intake.name(request);
    const notBeforeMs = wishesOf(request.sending, named.acceptedAtMs).notBeforeMs;
    const keepSeconds =
      KEEP_SECONDS + Math.ceil(((notBeforeMs ?? named.acceptedAtMs) - named.acceptedAtMs) / 1_000);
    const claims: HeldClaim[] = [];
    try {
      const before = await this.#claimAll(request, named, keepSeconds, claims);
      if (before !== undefined) {
        this.#parts.intake.drop(named);
        // A new key for an SMS that has its id: the key is that of this SMS from now on.
        await this.#finish(claims, keepSeconds);
        return { id: before, acceptedAtMs: undefined, notBeforeMs: undefined, isRepeated: true };
      }
    } catch (error) {
      this.#parts.intake.drop(named);
      await this.#release(claims);
      throw error;
    }
    // An id that was claimed before by a process that died is kept.
    const id = claims[0]?.smsId ?? named.id;
    await this.#publish({ ...named, id }, claims, keepSeconds);
    await this.#remember({ ...named, id }, claims, notBeforeMs, keepSeconds);
    return { id, acceptedAtMs: named.acceptedAtMs, notBeforeMs, isRepeated: false };
  }

  /** Claims the key and the id, as far as there are any. @returns the id of the SMS that the request became before */
  async #claimAll(
    request: OnceRequest,
    named: NamedSms,
    keepSeconds: number,
    claims: HeldClaim[],
  ): Promise<string | undefined> {
    const { idempotencyKey, id } = request;
    const digest = this.#digest(request.asWritten);
    const told = toldOf(named);
    if (idempotencyKey !== undefined) {
      const name = `key:${this.#parts.digest(idempotencyKey).slice(0, 2 * DIGEST_DIGITS)}`;
      const before = await this.#claim(
        { name, digest, smsId: named.id, told, contentDigest: '' },
        keepSeconds,
        'key',
        claims,
      );
      if (before !== undefined) return before;
    }
    if (id === undefined) return undefined;
    const contentDigest = this.#parts.digest(contentOf(request.content)).slice(0, CONTENT_DIGEST_DIGITS);
    const claim = { name: nameOfId(id), digest, smsId: id, told, contentDigest };
    try {
      return await this.#claim(claim, keepSeconds, 'id', claims);
    } catch (error) {
      // Without Redis an id is what it is for every client of the queue: the SMS of it that comes second is known.
      if (error instanceof ServerUnavailableError && idempotencyKey === undefined) return undefined;
      throw error;
    }
  }

  async #claim(
    claim: RequestClaim,
    keepSeconds: number,
    kind: 'key' | 'id',
    claims: HeldClaim[],
  ): Promise<string | undefined> {
    const { clock, requests } = this.#parts;
    const giveUpAtMs = clock.nowMs() + OPEN_WAIT_MS;
    for (;;) {
      const { answer, smsId } = await requests.claim(claim, keepSeconds);
      if (answer === 'claimed' || answer === 'taken over') {
        claims.push({ ...claim, smsId, isTakenOver: answer === 'taken over' });
        return undefined;
      }
      if (answer === 'done' || answer === 'known') return smsId;
      if (answer === 'other') throw new ConflictError(kind);
      if (clock.nowMs() >= giveUpAtMs) throw new ConflictError('open');
      await pause(clock, ASK_AGAIN_MS);
    }
  }

  async #publish(named: NamedSms, claims: readonly HeldClaim[], keepSeconds: number): Promise<void> {
    const onLate = (isConfirmed: boolean) =>
      void (isConfirmed ? this.#finish(claims, keepSeconds) : this.#letGo(claims));
    try {
      await this.#parts.intake.accept(named, onLate);
    } catch (error) {
      const { reason } = error as NotAcceptedError;
      if (reason === 'unconfirmed') await this.#letGo(claims);
      else if (reason !== 'unanswered') await this.#release(claims);
      throw error;
    }
  }

  // The SMS is accepted, whether Redis remembers it or not.
  async #remember(
    named: NamedSms,
    claims: readonly RequestClaim[],
    notBeforeMs: number | undefined,
    keepSeconds: number,
  ): Promise<void> {
    const all: RequestClaim[] = [...claims];
    // The story of an SMS that waits for its moment is known from here alone.
    if (notBeforeMs !== undefined && !all.some(({ name }) => name === nameOfId(named.id)))
      all.push({
        name: nameOfId(named.id),
        digest: '',
        smsId: named.id,
        told: toldOf(named),
        contentDigest: '',
      });
    await this.#finish(all, keepSeconds);
  }

  #finish(claims: readonly RequestClaim[], keepSeconds: number): Promise<void> {
    return forEach(claims, (claim) => this.#parts.requests.finish(claim, keepSeconds));
  }

  /** RabbitMQ may have taken the SMS: who repeats the request repeats it at once, and with the same id. */
  #letGo(claims: readonly RequestClaim[]): Promise<void> {
    return forEach(claims, (claim) => this.#parts.requests.letGo(claim));
  }

  #release(claims: readonly HeldClaim[]): Promise<void> {
    const { requests } = this.#parts;
    return forEach(claims, (claim) => (claim.isTakenOver ? requests.letGo(claim) : requests.release(claim)));
  }

  #digest(text: string): string {
    return this.#parts.digest(text).slice(0, DIGEST_DIGITS);
  }
}

function nameOfId(id: string): string {
  return `id:${id}`;
}

function toldOf({ dayRun: { run }, acceptedAtMs, sending }: NamedSms): string {
  return encodeTold({ run, acceptedAtMs, ...wishesOf(sending, acceptedAtMs) });
}

/** What Redis does not hear of, it forgets by itself. */
async function forEach<Claim>(
  claims: readonly Claim[],
  tell: (claim: Claim) => Promise<void>,
): Promise<void> {
  try {
    await Promise.all(claims.map(tell));
  } catch (error) {
    if (!(error instanceof ServerUnavailableError)) throw error;
  }
}
