import { readFileSync } from 'node:fs';
import * as tls from 'node:tls';

/** Certificates of authorities that a server's certificate may be issued by: those that Node.js trusts, and some more. */
export class Trust {
  readonly #certificates: readonly string[];
  #secureContext: tls.SecureContext | undefined;

  /** @param certificates trusted beside those of Node.js, each in PEM */
  constructor(certificates: readonly string[]) {
    this.#certificates = certificates;
  }

  /** Made once, and only where it is needed: it takes 20 ms and 1 MB. */
  get secureContext(): tls.SecureContext {
    this.#secureContext ??= tls.createSecureContext({
      // `ca` replaces what Node.js trusts.
      ca: [...systemCertificates(), ...this.#certificates],
      // What is named is trusted, also where it is no root: an authority in between, or the certificate of the server.
      allowPartialTrustChain: true,
    });
    return this.#secureContext;
  }
}

/** What a client is told for TLS. A server without a valid certificate for its name is refused, whatever the environment says. */
export function tlsOptionsOf(trust: Trust | undefined) {
  return {
    // Said here, because NODE_TLS_REJECT_UNAUTHORIZED=0 changes the default.
    rejectUnauthorized: true,
    ...(trust === undefined ? {} : { secureContext: trust.secureContext }),
  };
}

/** What Node.js trusts by itself. Versions before 22.15 do not tell what NODE_EXTRA_CA_CERTS added. */
function systemCertificates(): readonly string[] {
  const { getCACertificates } = tls as { getCACertificates?: (type: 'default') => string[] };
  return getCACertificates?.('default') ?? [...tls.rootCertificates, ...extraCertificates()];
}

/** Node.js itself has warned of a file that cannot be read. */
function extraCertificates(): readonly string[] {
  const path = process.env.NODE_EXTRA_CA_CERTS ?? '';
  try {
    return path === '' ? [] : [readFileSync(path, 'utf8')];
  } catch {
    return [];
  }
}
