/**
 * What AWS is to an instance, on the instance itself: the metadata service (IMDSv2 only), S3 and SSM. It allows a
 * request to S3 and SSM only with the credentials of the role, and only what the policy of the role allows.
 * /stand-in/facts/facts.json says what there is, also later; every request is a line in /var/log/stand-in-requests.ndjson.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { buffer } from 'node:stream/consumers';

interface Facts {
  readonly role: string;
  readonly region: string;
  readonly bucket: string;
  /** The bucket with archives of the code. */
  readonly releases: string;
  readonly statements: readonly Statement[];
  readonly parameters: Readonly<Record<string, string>>;
}

interface Statement {
  readonly actions: readonly string[];
  readonly resources: readonly string[];
}

/** What a request needs of IAM: an action, and on what. */
interface Asked {
  readonly action: string;
  readonly resource: string;
}

interface S3Server {
  readonly store: { putObject(object: object): Promise<unknown> };
  run(): Promise<unknown>;
}

const readFacts = () => JSON.parse(readFileSync('/stand-in/facts/facts.json', 'utf8')) as Facts;
const { role, region, bucket, releases } = readFacts();
const KEY = {
  AccessKeyId: 'ASIASTANDIN000000001',
  SecretAccessKey: 'stand-in-secret',
  Token: 'stand-in-session',
};
const [API_PORT, S3_PORT] = [4599, 4598];
const JSON_HEADERS = { 'content-type': 'application/x-amz-json-1.1' };

const require = createRequire(import.meta.url);
const { DUMMY_ACCOUNT } = require('@20minutes/s3rver/lib/models/account.js');
const S3rver = require('@20minutes/s3rver') as new (options: object) => S3Server;
DUMMY_ACCOUNT.createKeyPair(KEY.AccessKeyId, KEY.SecretAccessKey);
const s3 = new S3rver({
  address: '127.0.0.1',
  port: S3_PORT,
  directory: '/var/lib/stand-in-s3',
  allowMismatchedSignatures: true,
  silent: true,
  configureBuckets: [bucket, releases].map((name) => ({ name, configs: [] })),
});
await s3.run();

serve('169.254.169.254', 80, answerAsMetadata);
serve('127.0.0.1', API_PORT, answerAsAws);

type Answer = (request: IncomingMessage, response: ServerResponse) => Promise<unknown>;

function serve(host: string, port: number, answer: Answer): void {
  createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      note({ error: error instanceof Error ? String(error.stack) : String(error) });
      response.writeHead(500).end();
    });
  }).listen(port, host);
}

function note(line: object): void {
  appendFileSync('/var/log/stand-in-requests.ndjson', `${JSON.stringify(line)}\n`);
}

async function answerAsMetadata({ method, url = '', headers }: IncomingMessage, response: ServerResponse) {
  const isToken = method === 'PUT' && url === '/latest/api/token';
  const hasToken = headers['x-aws-ec2-metadata-token'] === 'stand-in-token';
  const status = isToken ? 200 : hasToken ? 200 : 401;
  note({ service: 'metadata', method, url, status });
  if (isToken) {
    return response.writeHead(200, { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' }).end('stand-in-token');
  }
  if (!hasToken) return response.writeHead(401).end();
  const text = metadataOf(url.replace(/\/$/, ''));
  return text === undefined ? response.writeHead(404).end() : response.writeHead(200).end(text);
}

function metadataOf(path: string): string | undefined {
  const roles = '/latest/meta-data/iam/security-credentials';
  if (path === roles) return role;
  if (path === '/latest/meta-data/placement/region') return region;
  if (path === '/latest/meta-data/instance-id') return 'i-0123456789abcdef0';
  if (path !== `${roles}/${role}`) return undefined;
  const Expiration = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+/, '');
  const LastUpdated = new Date().toISOString().replace(/\.\d+/, '');
  return JSON.stringify({ Code: 'Success', Type: 'AWS-HMAC', LastUpdated, Expiration, ...KEY });
}

async function answerAsAws(request: IncomingMessage, response: ServerResponse) {
  const body = await buffer(request);
  const { authorization = '', 'x-amz-security-token': session } = request.headers;
  const [, key, service] = /Credential=([^/]+)\/\d+\/[^/]+\/([^/]+)\//.exec(authorization) ?? [];
  const isOfRole = key === KEY.AccessKeyId && session === KEY.Token;
  const asked = askedOf(service, request, body);
  const isAllowed = isOfRole && asked !== undefined && allows(asked);
  note({ service, isOfRole, isAllowed, ...asked });
  if (!isAllowed) return refuse(response, service);
  if (service === 'ssm') return answerParameter(response, JSON.parse(String(body)));
  await putRelease(request.url ?? '');
  return pass(request, body, response);
}

/** An archive of the code comes from the folder of the facts. */
async function putRelease(url: string): Promise<void> {
  const [, name = '', key = ''] = new URL(url, 'http://s3').pathname.split('/');
  if (name !== releases) return;
  const content = readFileSync(`/stand-in/facts/${key}`);
  await s3.store.putObject({ bucket: name, key, content, metadata: {} });
}

/** The action of IAM that the request needs, and on what. */
function askedOf(
  service: string | undefined,
  { method = '', url = '', headers }: IncomingMessage,
  body: Buffer,
): Asked {
  if (service === 'ssm') {
    const { Name } = JSON.parse(String(body));
    const [, action] = String(headers['x-amz-target']).split('.');
    return { action: `ssm:${action}`, resource: `arn:aws:ssm:${region}:123456789012:parameter${Name}` };
  }
  const { pathname, searchParams } = new URL(url, 'http://s3');
  const [, name = '', ...rest] = decodeURIComponent(pathname).split('/');
  const path = rest.join('/');
  const resource = `arn:aws:s3:::${path === '' ? name : `${name}/${path}`}`;
  return { action: actionOfS3(method, path, searchParams), resource };
}

function actionOfS3(method: string, path: string, search: URLSearchParams): string {
  if (path === '') {
    if (method === 'HEAD' || (method === 'GET' && search.has('list-type'))) return 's3:ListBucket';
    return `s3:bucket ${method} ${search}`;
  }
  const actions: Record<string, string> = { GET: 's3:GetObject', HEAD: 's3:GetObject', PUT: 's3:PutObject' };
  return actions[method] ?? `s3:object ${method}`;
}

function allows({ action, resource }: Asked): boolean {
  const matches = (pattern: string) => {
    const parts = pattern.split('*').map((part) => part.replace(/[.$]/g, '\\$&'));
    return new RegExp(`^${parts.join('.*')}$`).test(resource);
  };
  return readFacts().statements.some(
    ({ actions, resources }) => actions.includes(action) && resources.some(matches),
  );
}

function refuse(response: ServerResponse, service: string | undefined): void {
  if (service === 'ssm') {
    const refusal = JSON.stringify({ __type: 'AccessDeniedException', message: 'the role may not' });
    response.writeHead(400, JSON_HEADERS).end(refusal);
    return;
  }
  const refusal =
    '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>the role may not</Message></Error>';
  response.writeHead(403, { 'content-type': 'application/xml' }).end(refusal);
}

function answerParameter(
  response: ServerResponse,
  { Name, WithDecryption }: { Name: string; WithDecryption?: boolean },
) {
  const Value = readFacts().parameters[Name];
  if (Value === undefined || WithDecryption !== true)
    return response
      .writeHead(400, JSON_HEADERS)
      .end(JSON.stringify({ __type: 'ParameterNotFound', message: Name }));
  return response
    .writeHead(200, JSON_HEADERS)
    .end(JSON.stringify({ Parameter: { Name, Type: 'String', Value } }));
}

function pass({ method, url, headers }: IncomingMessage, body: Buffer, response: ServerResponse): void {
  const options = { host: '127.0.0.1', port: S3_PORT, method, path: url, headers };
  forward(options, (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
  }).end(body);
}
