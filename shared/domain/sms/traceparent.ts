/** `traceparent` of the W3C: the trace that an SMS belongs to, and the span that published it. https://www.w3.org/TR/trace-context/ */

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);
/** What a newer version may add is not kept, so that nobody can make messages longer with it. */
const MAX_CHARACTERS = 512;

/**
 * The traceparent in a header, as version 00 has it. Undefined where it is none: it is no reason to refuse an SMS. Of a newer
 * version the part is read that every version has.
 */
export function readTraceparent(header: unknown): string | undefined {
  if (typeof header !== 'string' || header.length > MAX_CHARACTERS) return undefined;
  const [, version, traceId, spanId, flags, more] = FORM.exec(header) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (traceId === NO_TRACE || spanId === NO_SPAN) return undefined;
  return `00-${traceId}-${spanId}-${flags}`;
}
