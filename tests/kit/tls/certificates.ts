import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ServerCertificate } from '../../../scripts/servers/private/rabbitmq-configuration.ts';

/** What a server may show: a good certificate, or one that must be refused. */
export interface ShownCertificates {
  readonly good: ServerCertificate;
  readonly ofAnotherAuthority: ServerCertificate;
  readonly selfSigned: ServerCertificate;
  readonly expired: ServerCertificate;
  readonly notYetValid: ServerCertificate;
  readonly ofAnotherHost: ServerCertificate;
}

export interface Wish {
  /** As OpenSSL writes them: `DNS:localhost`, `IP:127.0.0.1`. Default: both of these. */
  readonly names?: readonly string[];
  /** Days from now. Default: yesterday. */
  readonly fromDays?: number;
  /** Default: in ten days. */
  readonly untilDays?: number;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
const DAY_MS = 86_400_000;

/** Who issues certificates in a test: a folder with a key, as `openssl ca` wants it. */
export class TestAuthority implements ServerCertificate {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.certificateFile = join(folder, 'ca.crt');
    this.keyFile = join(folder, 'ca.key');
  }

  static async create(folder: string, name: string): Promise<TestAuthority> {
    const authority = new TestAuthority(folder);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'issued'), '');
    writeFileSync(join(folder, 'openssl.cnf'), renderConfiguration(authority, folder));
    await selfSign(authority, name, ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign']);
    return authority;
  }

  async issue(name: string, { names, fromDays = -1, untilDays = 10 }: Wish = {}): Promise<ServerCertificate> {
    const [certificateFile, keyFile, request, extensions] = ['crt', 'key', 'csr', 'ext'].map((ending) =>
      join(this.#folder, `${name}.${ending}`),
    ) as [string, string, string, string];
    writeFileSync(extensions, `basicConstraints=CA:FALSE\n${alternativeNames(names)}\n`);
    await openssl('req', ...NEW_KEY, '-keyout', keyFile, '-out', request, '-subj', `/CN=${name}`);
    await openssl(
      ...['ca', '-batch', '-notext', '-config', join(this.#folder, 'openssl.cnf')],
      ...['-startdate', timeOf(fromDays), '-enddate', timeOf(untilDays), '-extfile', extensions],
      ...['-in', request, '-out', certificateFile],
    );
    return { certificateFile, keyFile };
  }
}

/** A certificate that vouches for itself, as made by hand. */
export async function makeSelfSigned(folder: string, { names }: Wish = {}): Promise<ServerCertificate> {
  mkdirSync(folder, { recursive: true });
  const made = { certificateFile: join(folder, 'own.crt'), keyFile: join(folder, 'own.key') };
  await selfSign(made, 'self-made', [alternativeNames(names)]);
  return made;
}

/** One of each kind. */
export async function makeCertificates(folder: string, authority: TestAuthority): Promise<ShownCertificates> {
  const other = await TestAuthority.create(join(folder, 'other-authority'), 'Another authority');
  return {
    good: await authority.issue('good'),
    ofAnotherAuthority: await other.issue('good'),
    selfSigned: await makeSelfSigned(join(folder, 'self-signed')),
    expired: await authority.issue('expired', { fromDays: -20, untilDays: -2 }),
    notYetValid: await authority.issue('not-yet-valid', { fromDays: 2 }),
    ofAnotherHost: await authority.issue('another-host', { names: ['DNS:mq.internal', 'IP:10.0.0.1'] }),
  };
}

async function selfSign(
  { certificateFile, keyFile }: ServerCertificate,
  name: string,
  extensions: readonly string[],
): Promise<void> {
  await openssl(
    ...['req', '-x509', ...NEW_KEY, '-keyout', keyFile, '-out', certificateFile, '-subj', `/CN=${name}`],
    ...['-days', '30', ...extensions.flatMap((extension) => ['-addext', extension])],
  );
}

function alternativeNames(names: readonly string[] = ['DNS:localhost', 'IP:127.0.0.1']): string {
  return `subjectAltName=${names.join(',')}`;
}

/** `20261130002342Z` */
function timeOf(daysFromNow: number): string {
  const time = new Date(Date.now() + daysFromNow * DAY_MS);
  return `${time.toISOString().slice(0, 19).replace(/[-:T]/g, '')}Z`;
}

function renderConfiguration({ certificateFile, keyFile }: ServerCertificate, folder: string): string {
  return `[ca]
default_ca = own
[own]
certificate = ${certificateFile}
private_key = ${keyFile}
database = ${join(folder, 'issued')}
new_certs_dir = ${folder}
unique_subject = no
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
`;
}

async function openssl(...args: readonly string[]): Promise<void> {
  await promisify(execFile)('openssl', [...args]);
}
