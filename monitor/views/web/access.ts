/**
 * Who may see the page. With a token: a request that carries it, or a browser that was given the cookie for it. Without one
 * it is refused under any name but that of this machine: a page of somebody else, whose name was made to lead to 127.0.0.1,
 * must not read it in the browser of whoever looks at it (DNS rebinding). Where something else keeps others out, as under
 * Compose, a name without a dot will do too: it is that of a container, and no name on the internet.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

export interface RequestMarks {
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
  readonly host: string | undefined;
}

export type Judgement = 'allowed' | 'token needed' | 'strange host';

const COOKIE = 'redial';

export class Access {
  readonly #token: string | undefined;
  readonly #isEverybodyLetIn: boolean;

  /** @param token undefined: only this machine reaches the page; null: something else keeps others out */
  constructor(token: string | undefined | null) {
    this.#token = token ?? undefined;
    this.#isEverybodyLetIn = token === null;
  }

  judge({ authorization, cookie, host }: RequestMarks): Judgement {
    if (this.#token === undefined) {
      const name = nameIn(host ?? '');
      const isContainer = this.#isEverybodyLetIn && /^[a-z0-9_-]+$/.test(name);
      return isOwnName(name) || isContainer ? 'allowed' : 'strange host';
    }
    const bearer = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (bearer !== undefined && this.isToken(bearer)) return 'allowed';
    const given = (cookie ?? '').split(/; */).find((part) => part.startsWith(`${COOKIE}=`));
    return given !== undefined && isSame(given.slice(COOKIE.length + 1), markOf(this.#token))
      ? 'allowed'
      : 'token needed';
  }

  isToken(text: string): boolean {
    return this.#token !== undefined && isSame(text, this.#token);
  }

  /** The cookie holds a digest: who reads it there does not learn the token. It ends with the browser. */
  get cookie(): string {
    return `${COOKIE}=${markOf(this.#token ?? '')}; HttpOnly; SameSite=Strict; Path=/`;
  }
}

function nameIn(host: string): string {
  return host
    .replace(/:\d+$/, '')
    .replace(/^\[|\]$/g, '')
    .toLowerCase();
}

function isOwnName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0;
}

function markOf(token: string): string {
  return hash('sha256', `the page of redial ${token}`, 'hex');
}

// Digests have one length, which the comparison in constant time asks for.
function isSame(left: string, right: string): boolean {
  const [a, b] = [left, right].map((text) => hash('sha256', text, 'buffer'));
  return a !== undefined && b !== undefined && timingSafeEqual(a, b);
}
