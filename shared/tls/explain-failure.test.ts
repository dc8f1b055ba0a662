import { describe, expect, test } from 'vitest';
import {
  explainTlsFailure,
  placeOf,
  type ServerLook,
  type ShownCertificate,
  type TlsServer,
} from './explain-failure.ts';

const RABBITMQ: TlsServer = {
  ...{ server: 'RabbitMQ', urlSetting: 'RABBITMQ_URL', trustSetting: 'RABBITMQ_CA_FILE' },
  schemes: { plain: 'amqp://', encrypted: 'amqps://' },
  ports: { plain: 5672, encrypted: 5671 },
  noClientCertificates: 'fail_if_no_peer_cert = false',
};
const NOW_MS = Date.parse('2026-11-30T12:00:00Z');
const VALID: ShownCertificate = {
  issuer: 'Example CA',
  names: ['mq.internal', '10.0.0.1'],
  validFromMs: Date.parse('2026-01-01T00:00:00Z'),
  validUntilMs: Date.parse('2027-01-01T00:00:00Z'),
};
const TRUST = 'RABBITMQ_CA_FILE must name a file with the certificate of that authority';

function looking(certificate: Partial<ShownCertificate> = {}, wantsCertificate = false): ServerLook {
  return { kind: 'encrypted', wantsCertificate, certificate: { ...VALID, ...certificate } };
}

function explain(url: string, code: string, message = '', look?: ServerLook): string | undefined {
  return explainTlsFailure(placeOf(RABBITMQ, url), { code, message, look }, NOW_MS);
}

describe('a certificate that is refused', () => {
  const unknown = `shows a certificate of the authority "Example CA" that is not trusted: ${TRUST}`;
  test.each<[code: string, look: ServerLook | undefined, says: string]>([
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', looking(), unknown],
    ['UNABLE_TO_GET_ISSUER_CERT', looking(), unknown],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', looking(), unknown],
    ['SELF_SIGNED_CERT_IN_CHAIN', looking(), unknown],
    ['CERT_SIGNATURE_FAILURE', looking(), unknown],
    [
      'SELF_SIGNED_CERT_IN_CHAIN',
      undefined,
      `shows a certificate of an authority that is not trusted: ${TRUST}`,
    ],
    [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      looking(),
      'shows a self-signed certificate that is not trusted: RABBITMQ_CA_FILE must name a file with this certificate',
    ],
    [
      'CERT_HAS_EXPIRED',
      looking({ validUntilMs: Date.parse('2026-11-28T23:59:59Z') }),
      'shows a certificate that expired on 2026-11-28 (the clock of this machine says 2026-11-30): renew it on the server',
    ],
    [
      'CERT_HAS_EXPIRED',
      looking(),
      'shows a certificate of an authority whose own certificate has expired (the clock of this machine says 2026-11-30): renew that one, on the server and in the file of RABBITMQ_CA_FILE',
    ],
    [
      'CERT_NOT_YET_VALID',
      looking({ validFromMs: Date.parse('2026-12-02T00:00:00Z') }),
      'shows a certificate that is valid from 2026-12-02 on (the clock of this machine says 2026-11-30): set the clock, or give the server another certificate',
    ],
    [
      'CERT_NOT_YET_VALID',
      undefined,
      'shows a certificate that is not valid yet, or whose authority is not (the clock of this machine says 2026-11-30): set the clock, or give the server another certificate',
    ],
    [
      'ERR_TLS_CERT_ALTNAME_INVALID',
      looking(),
      'shows a certificate for mq.internal, 10.0.0.1, not for one: RABBITMQ_URL must name it as its certificate does, or the certificate must hold one',
    ],
    [
      'ERR_TLS_CERT_ALTNAME_INVALID',
      looking({ names: [] }),
      'shows a certificate without a host name, not for one: RABBITMQ_URL must name it as its certificate does, or the certificate must hold one',
    ],
    [
      'INVALID_PURPOSE',
      looking(),
      'shows a certificate that is refused (unsuitable): give the server another one',
    ],
    [
      'CA_MD_TOO_WEAK',
      undefined,
      'shows a certificate that is refused (unsuitable): give the server another one',
    ],
  ])('%s', (code, look, says) =>
    expect(explain('amqps://one', code, 'unsuitable', look)).toBe(`RabbitMQ at one:5671 ${says}`),
  );
});

describe('servers that do not agree with the URL', () => {
  const noTls =
    'does not speak TLS: RABBITMQ_URL must name its port for TLS (or begin with amqp://, and nothing is encrypted)';
  const wrongVersion =
    'write EPROTO 80FC:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:ssl3_record.c:350:';
  test.each<
    [name: string, url: string, code: string, message: string, look: ServerLook | undefined, says: string]
  >([
    ['no TLS', 'amqps://one:5672', 'EPROTO', wrongVersion, undefined, `one:5672 ${noTls}`],
    [
      'no TLS, in silence',
      'amqps://one',
      'ETIMEDOUT',
      'connect ETIMEDOUT',
      { kind: 'plain' },
      `one:5671 ${noTls}`,
    ],
    [
      'TLS, and a URL that does not know it',
      'amqp://[::1]:5671',
      '',
      'Socket closed abruptly during opening handshake',
      looking(),
      '[::1]:5671 speaks TLS: RABBITMQ_URL must begin with amqps://',
    ],
    [
      'TLS of the last century',
      'amqps://one',
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
      'SSL routines:ssl3_read_bytes:tlsv1 alert protocol version',
      undefined,
      'one:5671 speaks only versions of TLS that are older than 1.2: update it',
    ],
    [
      'certificates of clients',
      'amqps://one',
      'ECONNRESET',
      'read ECONNRESET',
      looking({}, true),
      'one:5671 asks for a certificate of its clients, and Redial has none: let it do without (fail_if_no_peer_cert = false)',
    ],
    [
      'a handshake that fails',
      'amqps://one',
      'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
      'SSL routines:ssl3_read_bytes:sslv3 alert handshake failure',
      undefined,
      'one:5671 refuses the TLS handshake: it has no cipher in common with Node.js, or asks for a certificate of its clients (fail_if_no_peer_cert = false)',
    ],
  ])('%s', (_, url, code, message, look, says) =>
    expect(explain(url, code, message, look)).toBe(`RabbitMQ at ${says}`),
  );
});

test.each([
  ['a server without TLS that closes', 'amqp://one', '', 'Socket closed abruptly', undefined],
  ['a server with TLS that closes', 'amqps://one', 'ECONNRESET', 'read ECONNRESET', looking()],
  ['a server that is silent', 'amqps://one', 'ETIMEDOUT', 'connect ETIMEDOUT', undefined],
])('%s has nothing to do with TLS', (_, url, code, message, look) =>
  expect(explain(url, code, message, look)).toBeUndefined(),
);

test('a URL tells where its server is, without the account', () => {
  expect(placeOf(RABBITMQ, 'amqps://me:secret@[::1]/vhost')).toEqual({
    ...RABBITMQ,
    ...{ address: '[::1]:5671', host: '::1', port: 5671, isEncrypted: true },
  });
  expect(placeOf(RABBITMQ, 'AMQP://one:1')).toMatchObject({ address: 'one:1', port: 1, isEncrypted: false });
});
