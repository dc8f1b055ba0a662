import type { OutcomeStatus } from '../../../domain/outcome/outcome.ts';
import { openedAtOf, recorderOf } from '../../../domain/outcome/outcome-object.ts';
import type { KnownAttempt, KnownSms, KnownSmsReader, RunStanding } from '../../../ports/api/known-sms.ts';
import type { Clock } from '../../../ports/clock.ts';
import type { RedisConnection, RedisSession } from '../connection.ts';
import { redisKeysOf } from '../keys.ts';
import { RedisLivingSettingsReader } from '../senders/living-settings-reader.ts';
import { STATUS_OF_LETTER } from '../sms-text.ts';
import { runToldBy } from '../told-run.ts';

const RESULT_OF: Readonly<Record<string, KnownAttempt['result']>> = { s: 'sent', f: 'failed', u: 'unknown' };
const MARK = /^([0-9a-z]{8})([0-9a-z]{2})$/;
/** Starts are told in microseconds modulo this, see domain/outcome/attempt-token.ts. */
const STARTS = 36 ** 8;
const DAY_MS = 86_400_000;

/** Reads the text of lua/sms.lua. Writes nothing. */
export class RedisKnownSmsReader implements KnownSmsReader {
  readonly #connection: RedisConnection;
  readonly #keys: ReturnType<typeof redisKeysOf>;
  readonly #settings: RedisLivingSettingsReader;
  readonly #clock: Clock;

  /** @param prefix QUEUE_NAME */
  constructor(connection: RedisConnection, prefix: string, clock: Clock) {
    this.#connection = connection;
    this.#keys = redisKeysOf(prefix);
    this.#settings = new RedisLivingSettingsReader(connection, prefix);
    this.#clock = clock;
  }

  async read(smsId: string): Promise<KnownSms | undefined> {
    const text = await this.#connection.ask(({ redis }) => redis.get(this.#keys.sms(smsId)));
    return text === null ? undefined : readKnownSms(text, smsId, this.#clock.nowMs());
  }

  async toldOf(smsId: string): Promise<string | undefined> {
    const value = await this.#connection.ask(({ redis }) => redis.get(this.#keys.request(`id:${smsId}`)));
    // Whoever reads a claim of a request that is not accepted yet reads it too early.
    return value?.startsWith('d|') ? value.split('|').slice(5).join('|') : undefined;
  }

  async standingOf(run: string): Promise<RunStanding> {
    const ask = ({ redis }: RedisSession) => redis.hmget(this.#keys.run(run), 'announced', 'met');
    const [announced, met] = await this.#connection.ask(ask);
    return { announced: Number(announced ?? 0), met: Number(met ?? 0) };
  }

  senderSettings(): Promise<readonly object[]> {
    return this.#settings.readOthers('');
  }
}

/** Undefined for a text that a newer version wrote. */
export function readKnownSms(text: string, smsId: string, nowMs: number): KnownSms | undefined {
  const [phase, run = '', object = '', status = '', , attempts = ''] = text.split('|');
  const known = {
    run: run === '' ? runToldBy(smsId) : run,
    attempts: attempts.split(',').flatMap((token) => readToken(token, nowMs) ?? []),
  };
  if (phase === 'p') return { ...known, outcome: undefined };
  const place = placeOf(object);
  const itsStatus = status.length === 1 ? STATUS_OF_LETTER[status] : (status as OutcomeStatus);
  if ((phase !== 'c' && phase !== 's') || place === undefined || itsStatus === undefined) return undefined;
  return { ...known, outcome: { status: itsStatus, isStored: phase === 's', ...place } };
}

/** From the id of an object, or from its mark. */
function placeOf(
  object: string,
): { readonly openedAtMs: number; readonly recorderStart: string } | undefined {
  const [, time, recorderStart] = MARK.exec(object) ?? [];
  if (time !== undefined && recorderStart !== undefined)
    return { openedAtMs: Number.parseInt(time, 36), recorderStart };
  const openedAtMs = openedAtOf(object);
  return openedAtMs === undefined ? undefined : { openedAtMs, recorderStart: recorderOf(object) ?? '' };
}

function readToken(token: string, nowMs: number): KnownAttempt | undefined {
  const [attempt, start = '', tookMs, lateMs, letter = ''] = token.split(':');
  const result = RESULT_OF[letter];
  if (result === undefined) return undefined;
  return {
    attempt: Number(attempt),
    startedAtMs: startIn(Number.parseInt(start, 36), nowMs),
    tookMs: Number(tookMs),
    lateMs: lateMs === '' ? undefined : Number(lateMs),
    result,
  };
}

/**
 * A start is told in milliseconds where its microsecond is 0, else in microseconds that come round every 32 days. What could
 * be a millisecond of the last days is one; a microsecond that looks like it is one in 10,000.
 */
function startIn(start: number, nowMs: number): number {
  if (start <= nowMs + DAY_MS && start > nowMs - 3 * DAY_MS) return start;
  const nowInRound = (nowMs * 1_000) % STARTS;
  return Math.floor((nowMs * 1_000 - ((nowInRound - start + STARTS) % STARTS)) / 1_000);
}
