/** Why no encrypted connection comes about, as a sentence: what is, and what to set. Pure. */

/** A kind of server, as sentences and settings name it. */
export interface TlsServer {
  readonly server: string;
  /** Settings: where the server is, and which certificates to trust. */
  readonly urlSetting: string;
  readonly trustSetting: string;
  /** How URLs begin, and their usual ports, without and with TLS. */
  readonly schemes: { readonly plain: string; readonly encrypted: string };
  readonly ports: { readonly plain: number; readonly encrypted: number };
  /** How the server is told to do without certificates of its clients. */
  readonly noClientCertificates: string;
  /** A request without TLS and how its answer begins, where a server without TLS leaves a client with TLS waiting. */
  readonly hello?: { readonly request: string; readonly answer: RegExp };
}

/** One such server. */
export interface TlsPlace extends TlsServer {
  /** As it is printed: `localhost:5671`. */
  readonly address: string;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Whether its URL says so. */
  readonly isEncrypted: boolean;
}

/** What a server shows to somebody who trusts everybody. */
export type ServerLook =
  | { readonly kind: 'plain' }
  | {
      readonly kind: 'encrypted';
      readonly wantsCertificate: boolean;
      readonly certificate: ShownCertificate;
    };

export interface ShownCertificate {
  /** Common name of whoever issued it. */
  readonly issuer: string;
  /** Host names and addresses it is for. */
  readonly names: readonly string[];
  readonly validFromMs: number;
  readonly validUntilMs: number;
}

export interface TlsFailure {
  /** Of Node.js or of OpenSSL. */
  readonly code: string;
  readonly message: string;
  /** Undefined where the server did not let itself be looked at. */
  readonly look: ServerLook | undefined;
}

/** OpenSSL's words for a chain that ends nowhere: the issuer is not known, or only its name is. */
const UNKNOWN_ISSUER = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
]);
/** What else OpenSSL may have against a certificate (https://nodejs.org/docs/latest/api/tls.html#x509-certificate-error-codes). */
const OTHER_FAULTS =
  /^(CERT_|CRL_|INVALID_CA$|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$|HOSTNAME_MISMATCH$|UNABLE_TO_|ERROR_IN_CERT_)|(_KEY_TOO_SMALL|_MD_TOO_WEAK)$/;
/** The first bytes of the answer are no TLS. */
const NO_TLS = /wrong version number|packet length too long|http request|record layer failure/i;
const OLD_TLS = /unsupported protocol|protocol version/i;
const NOTHING_IN_COMMON = /handshake failure/i;

/** True where the server shows a certificate that is refused, and where a look at it may tell more. */
export function isCertificateFault(code: string): boolean {
  return (
    UNKNOWN_ISSUER.has(code) ||
    code === 'DEPTH_ZERO_SELF_SIGNED_CERT' ||
    code === 'ERR_TLS_CERT_ALTNAME_INVALID' ||
    OTHER_FAULTS.test(code)
  );
}

export function placeOf(server: TlsServer, url: string): TlsPlace {
  const { hostname, port: givenPort, protocol } = new URL(url);
  const isEncrypted = server.schemes.encrypted.startsWith(protocol);
  const port = Number(givenPort) || (isEncrypted ? server.ports.encrypted : server.ports.plain);
  return {
    ...server,
    ...{ address: `${hostname}:${port}`, host: hostname.replace(/^\[|\]$/g, ''), port, isEncrypted },
  };
}

/** `RabbitMQ at localhost:5671` */
export function titleOf({ server, address }: TlsPlace): string {
  return `${server} at ${address}`;
}

/** Undefined where the failure has nothing to do with TLS. */
export function explainTlsFailure(place: TlsPlace, failure: TlsFailure, nowMs: number): string | undefined {
  const { urlSetting, schemes } = place;
  const server = titleOf(place);
  const { code, message, look } = failure;
  if (!place.isEncrypted) {
    return look?.kind === 'encrypted'
      ? `${server} speaks TLS: ${urlSetting} must begin with ${schemes.encrypted}`
      : undefined;
  }
  if (isCertificateFault(code)) return `${server} ${describeCertificate(place, failure, nowMs)}`;
  if (look?.kind === 'plain' || NO_TLS.test(message))
    return `${server} does not speak TLS: ${urlSetting} must name its port for TLS (or begin with ${schemes.plain}, and nothing is encrypted)`;
  if (OLD_TLS.test(message))
    return `${server} speaks only versions of TLS that are older than 1.2: update it`;
  if (look?.kind === 'encrypted' && look.wantsCertificate)
    return `${server} asks for a certificate of its clients, and Redial has none: let it do without (${place.noClientCertificates})`;
  if (NOTHING_IN_COMMON.test(message))
    return `${server} refuses the TLS handshake: it has no cipher in common with Node.js, or asks for a certificate of its clients (${place.noClientCertificates})`;
  return undefined;
}

function describeCertificate(place: TlsPlace, { code, message, look }: TlsFailure, nowMs: number): string {
  const { host, trustSetting, urlSetting } = place;
  const certificate = look?.kind === 'encrypted' ? look.certificate : undefined;
  const clock = `the clock of this machine says ${dayOf(nowMs)}`;
  switch (code) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return `shows a self-signed certificate that is not trusted: ${trustSetting} must name a file with this certificate`;
    case 'CERT_HAS_EXPIRED':
      return certificate !== undefined && certificate.validUntilMs < nowMs
        ? `shows a certificate that expired on ${dayOf(certificate.validUntilMs)} (${clock}): renew it on the server`
        : `shows a certificate of an authority whose own certificate has expired (${clock}): renew that one, on the server and in the file of ${trustSetting}`;
    case 'CERT_NOT_YET_VALID':
      return certificate !== undefined && certificate.validFromMs > nowMs
        ? `shows a certificate that is valid from ${dayOf(certificate.validFromMs)} on (${clock}): set the clock, or give the server another certificate`
        : `shows a certificate that is not valid yet, or whose authority is not (${clock}): set the clock, or give the server another certificate`;
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `shows a certificate ${describeNames(certificate)}, not for ${host}: ${urlSetting} must name it as its certificate does, or the certificate must hold ${host}`;
    default:
      return UNKNOWN_ISSUER.has(code)
        ? `shows a certificate ${describeIssuer(certificate)} that is not trusted: ${trustSetting} must name a file with the certificate of that authority`
        : `shows a certificate that is refused (${message}): give the server another one`;
  }
}

function describeNames(certificate: ShownCertificate | undefined): string {
  if (certificate === undefined) return 'for another name';
  return certificate.names.length === 0 ? 'without a host name' : `for ${certificate.names.join(', ')}`;
}

function describeIssuer(certificate: ShownCertificate | undefined): string {
  return certificate === undefined ? 'of an authority' : `of the authority "${certificate.issuer}"`;
}

/** `2026-11-30`, in UTC as the certificate has it. */
function dayOf(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString().slice(0, 10) : 'an unknown day';
}
