import type { GatewayResult } from '../domain/outcome/attempt.ts';
import type { Sms } from '../domain/sms/sms.ts';

/** Sends SMS. An SMS that could not be sent is a result: `send` rejects only after `close`. */
export interface Gateway {
  /**
   * @returns
   * - `sent`: the carrier has taken the SMS to send it.
   * - `failed`: it was certainly not sent. Where `isPermanent`, no other attempt will do better; else it gets its next attempt.
   * - `unknown`: it may have been sent. Only where the gateway cannot know: the connection broke, or the answer is missing.
   *   The attempt is spent, and UNKNOWN_RESULT decides about the next one.
   * - `throttled`: it was certainly not sent, because the carrier takes no SMS at the moment. No attempt is spent, nothing is
   *   recorded, and the sender begins no SMS until the moment that the carrier told, or for a while of its own choice.
   */
  send(sms: Sms, attempt: number): Promise<GatewayResult>;
  /** Ends the wait for answers that have not come by the end of the shutdown timeout. */
  close(): void;
}

/** Where senders tell one another that the carrier throttles. */
export interface PauseBoard {
  /**
   * Extends the pause of all senders to `ownMs` from now, where it is shorter, and notes how often this sender was throttled
   * since its start. May be repeated. Lengths and not moments are exchanged: the clocks of machines differ.
   * @returns how long the pause of all senders still lasts, in milliseconds; 0 where there is none
   * @throws ServerUnavailableError
   */
  exchange(ownMs: number, throttledCount: number): Promise<number>;
}
