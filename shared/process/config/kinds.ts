/** The kinds of values that settings of several groups take. */

import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { Trust } from '../../tls/trust.ts';
import type { Kind } from './setting.ts';

const DIGITS = /^-?\d+$/;
const DECIMAL = /^-?(\d+(\.\d*)?|\.\d+)$/;

/** A kind of value whose text is refused with one sentence. @param read undefined where the text is refused */
export function kindOf<Value>(
  unit: string,
  problem: string,
  read: (text: string) => Value | undefined,
): Kind<Value> {
  return {
    unit,
    read(text) {
      const value = read(text);
      return value === undefined ? { problems: [problem] } : { value };
    },
  };
}

export function wholeNumber(unit: string, min: number, max: number = Number.MAX_SAFE_INTEGER): Kind<number> {
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  return kindOf(unit, `must be a whole number ${range}`, (text) => {
    const value = numberOf(text, DIGITS);
    return Number.isSafeInteger(value) && value >= min && value <= max ? value : undefined;
  });
}

export function share(unit: string): Kind<number> {
  return kindOf(unit, 'must be between 0 and 1', (text) => {
    const value = numberOf(text, DECIMAL);
    return value >= 0 && value <= 1 ? value : undefined;
  });
}

export function above0(unit: string, max = 1_000_000): Kind<number> {
  return kindOf(unit, `must be a number above 0, at most ${max}`, (text) => {
    const value = numberOf(text, DECIMAL);
    return value > 0 && value <= max ? value : undefined;
  });
}

/** Typed in seconds, read in milliseconds. */
export function seconds(max: number, isZeroAllowed = false): Kind<number> {
  const range = isZeroAllowed ? `between 0 and ${max}` : `above 0, at most ${max}`;
  return kindOf('seconds', `must be a number of seconds ${range}`, (text) => {
    const value = numberOf(text, DECIMAL);
    return value <= max && (value > 0 || (isZeroAllowed && value === 0)) ? value * 1_000 : undefined;
  });
}

/** NaN for a text of another form. `-0` is no less than 0: adding 0 makes it 0. */
function numberOf(text: string, form: RegExp): number {
  return form.test(text) ? Number(text) + 0 : Number.NaN;
}

export function anyText(unit = ''): Kind<string> {
  return { unit, read: (value) => ({ value }) };
}

export function textLike(unit: string, form: RegExp, problem: string): Kind<string> {
  return kindOf(unit, problem, (text) => (form.test(text) ? text : undefined));
}

export function oneOf<const Value extends string>(values: readonly Value[]): Kind<Value> {
  const problem = `must be ${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
  return kindOf(values.join('|'), problem, (text) => values.find((value) => value === text));
}

export const PORT = wholeNumber('port', 1, 65_535);

export const HOST = kindOf(
  'host',
  'must be a host name or an address, IPv6 in [brackets], without a port',
  // With a port in it, the URL that is made of the parts would not be a URL.
  (text) => (/^[^\s/@?#]+$/.test(text) && URL.canParse(`amqp://${text}:1`) ? text : undefined),
);

export function url(...schemes: readonly string[]): Kind<string> {
  return {
    unit: prefixesOf(schemes),
    read(value) {
      const problem = problemOfUrl(value, schemes);
      return problem === undefined ? { value } : { problems: [problem] };
    },
  };
}

/** URLs with commas between them. */
export function urls(...schemes: readonly string[]): Kind<readonly string[]> {
  return {
    unit: prefixesOf(schemes),
    read(text) {
      const value = text.split(',').map((part) => part.trim());
      const problems = value.flatMap((part) => problemOfUrl(part, schemes) ?? []);
      return problems.length === 0 ? { value } : { problems };
    },
  };
}

function problemOfUrl(text: string, schemes: readonly string[]): string | undefined {
  const isNone = `must be a URL such as ${schemes[0]}://host:port`;
  if (hasStrayAt(text)) return 'must have an @ or / of its user or password written as %40 or %2F';
  if (!URL.canParse(text)) return isNone;
  const { protocol, hostname, port, username, password, pathname } = new URL(text);
  if (!schemes.includes(protocol.slice(0, -1))) return `must begin with ${prefixesOf(schemes)}`;
  if (hostname === '' || port === '0') return isNone;
  if (![username, password, pathname].every(isDecodable))
    return 'must have a % of its user, password or path written as %25';
  return undefined;
}

function prefixesOf(schemes: readonly string[]): string {
  return schemes.map((scheme) => `${scheme}://`).join(' or ');
}

/** True where a piece of the password would be taken for the host, or the user for it. */
function hasStrayAt(text: string): boolean {
  const [authority = ''] = /(?<=:\/\/)[^/?#]*/.exec(text) ?? [];
  return text.split('@').length > 2 || (text.includes('@') && !authority.includes('@'));
}

function isDecodable(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** A file with certificates of authorities, read once: whoever changes the file starts the process again. */
export const CERTIFICATES: Kind<Trust> = {
  unit: 'path of a PEM file',
  read(path) {
    const text = readTextFile(path);
    if (text === undefined) return { problems: ['must name a file that can be read'] };
    const certificates = text.match(PEM) ?? [];
    if (certificates.length === 0) return { problems: [describeNoCertificate(text)] };
    const unreadable = certificates.findIndex((certificate) => !isCertificate(certificate));
    return unreadable === -1
      ? { value: new Trust(certificates) }
      : { problems: [`must hold certificates, but number ${unreadable + 1} in it cannot be read`] };
  },
};

/** Undefined also for what is no file: reading a pipe might never end. */
function readTextFile(path: string): string | undefined {
  try {
    return statSync(path).isFile() ? readFileSync(path, 'utf8') : undefined;
  } catch {
    return undefined;
  }
}

function describeNoCertificate(text: string): string {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    return 'must name a file with certificates, and not with a private key';
  return 'must name a file with certificates in PEM (-----BEGIN CERTIFICATE-----; "openssl x509 -inform der" converts)';
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}
