import { createHash } from 'node:crypto';

/** As senders make digests: SHA-256 over all parts, as hexadecimal digits. */
export function digest(...parts: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
