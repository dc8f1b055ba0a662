/**
 * What people decide about SMS that wait. A directive is a short text, so that Redis holds it once however often it is given:
 * `cancel|<id>`, `cancel-run|<run>`, `send-now|<id>|<attempt>`. None of them holds a phone number or a text of an SMS.
 */
export type Directive =
  | { readonly kind: 'cancel'; readonly smsId: string }
  | { readonly kind: 'cancel-run'; readonly run: string }
  | { readonly kind: 'send-now'; readonly smsId: string; readonly attempt: number };

/** What Redis holds of them. */
export interface DirectivesRead {
  /** Another one where Redis was emptied, or is back on older data. */
  readonly identity: string;
  /** The highest number that was ever given. */
  readonly last: number;
  /** How many directives there are in all. */
  readonly count: number;
  /** Those with a number above the one that was asked for. */
  readonly texts: readonly string[];
  /** Redis' clock. */
  readonly second: number;
}

/** Directives that one pipeline may have at once: each sender keeps all of them in memory. */
export const MAX_DIRECTIVES = 100_000;

export function directiveText(directive: Directive): string {
  switch (directive.kind) {
    case 'cancel':
      return `cancel|${directive.smsId}`;
    case 'cancel-run':
      return `cancel-run|${directive.run}`;
    case 'send-now':
      return `send-now|${directive.smsId}|${directive.attempt}`;
  }
}

/** Undefined for a text of a newer version, or of nobody. */
export function parseDirective(text: string): Directive | undefined {
  const [kind, name = '', attempt = ''] = text.split('|');
  if (name === '') return undefined;
  if (kind === 'cancel') return { kind, smsId: name };
  if (kind === 'cancel-run') return { kind, run: name };
  if (kind === 'send-now' && /^[1-9]\d{0,3}$/.test(attempt))
    return { kind, smsId: name, attempt: Number(attempt) };
  return undefined;
}
