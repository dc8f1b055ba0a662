/** What the HTTP servers of Redial have in common: who may reach them. */
import { isIP } from 'node:net';
import { ConfigurationError, describeError } from '../../errors.ts';
import { textLike } from './kinds.ts';

/** As a token: whoever reaches the server may use it, because something else keeps others out. */
export const NO_TOKEN = 'none';

export const TOKEN = textLike(
  'token',
  /^([\x21-\x7e]{16,512}|none)$/,
  'must be 16 to 512 printable ASCII characters without blanks, or none',
);

export interface Listening {
  /** How settings begin that belong to this server: API or MONITOR. */
  readonly prefix: string;
  /** What listens, for sentences. */
  readonly title: string;
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
}

/** @throws ConfigurationError where everybody could come in */
export function requireTokenBeyondLoopback({ prefix, host, token }: Listening): void {
  if (isLoopback(host) || token !== undefined) return;
  throw new ConfigurationError([
    `${prefix}_HOST ${host} lets other machines in: set ${prefix}_TOKEN (or ${prefix}_TOKEN_FILE; none where something else keeps them out), or listen on 127.0.0.1`,
  ]);
}

/** @throws ConfigurationError where the address is not to be had */
export async function listenAsConfigured(
  app: { listen(options: { host: string; port: number }): Promise<unknown> },
  { title, host, port }: Listening,
): Promise<void> {
  try {
    await app.listen({ host: withoutBrackets(host), port });
  } catch (error) {
    throw new ConfigurationError([`${title} cannot listen on ${host}:${port}: ${describeError(error)}`]);
  }
}

/** True where only this machine reaches the address. */
function isLoopback(host: string): boolean {
  const address = withoutBrackets(host);
  return address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}
