import { ServerUnavailableError } from '../errors.ts';
import { explainTlsFailure, type TlsPlace } from './explain-failure.ts';
import { lookAtServer } from './look-at-server.ts';

/** Nobody is there who could be looked at, or we do not want to know any more. */
const NOBODY = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|EACCES|ABORT_ERR)$/;
const SILENCE = /ETIMEDOUT|timed out|timeout|no answer within/i;

/**
 * Why a connection failed, where TLS is the reason. It may take a few seconds: the server is looked at.
 * @param error of the client that could not connect
 * @param signal ends the look
 * @returns a refusal; undefined for any other reason
 */
export async function tlsRefusalOf(
  place: TlsPlace,
  error: unknown,
  signal: AbortSignal,
): Promise<ServerUnavailableError | undefined> {
  if (!(error instanceof Error)) return undefined;
  const { code = '', message } = error as NodeJS.ErrnoException;
  // Servers answer what they do not understand, but for some without TLS.
  const mayBeSilent = place.isEncrypted && place.hello !== undefined;
  if (NOBODY.test(code) || (SILENCE.test(`${code} ${message}`) && !mayBeSilent)) return undefined;
  const failure = { code, message, look: await lookAtServer(place, signal) };
  const sentence = explainTlsFailure(place, failure, Date.now());
  return sentence === undefined
    ? undefined
    : new ServerUnavailableError(sentence, { isRefusal: true, cause: error });
}
