/** Whatever bytes reach `producer serve`: each answer is a problem that says what is wrong, and nothing is accepted. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { sendRaw } from './kit/api/raw-http.ts';
import { ApiUnderTest } from './kit/process/api-under-test.ts';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';

const SMS = { to: '+4915112345678', text: 'not for the log' };
const JSON_TYPE = 'Content-Type: application/json';
const NDJSON_TYPE = 'Content-Type: application/x-ndjson';
const DEEP = `${'['.repeat(10_000)}${']'.repeat(10_000)}`;
const sms = JSON.stringify(SMS);
const withText = (text: string) => `{"to":"${SMS.to}","text":${text}}`;
let pipeline: PipelineUnderTest;
let api: ApiUnderTest;
let port: number;

beforeAll(async () => {
  pipeline = new PipelineUnderTest(inject('servers'), 'api-bad');
  api = await ApiUnderTest.start(pipeline);
  port = Number(new URL(api.url).port);
});
afterAll(() => pipeline.end());

type Bytes = string | Buffer;
const request = (line: string, headers: readonly string[] = [], body: Bytes = ''): Bytes[] => [
  `${[`${line} HTTP/1.1`, 'Host: a', 'Connection: close', ...headers, `Content-Length: ${Buffer.byteLength(body)}`].join('\r\n')}\r\n\r\n`,
  body,
];
const post = (body: Bytes, path = '/messages', type = JSON_TYPE) => request(`POST ${path}`, [type], body);
const bulk = (body: Bytes, type = NDJSON_TYPE) => post(body, '/messages/bulk', type);
const get = (path: string, ...headers: string[]) => request(`GET ${path}`, headers);
const chunked = (path: string, type: string, chunks: string) => [
  `POST ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${type}\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
];
const latin1 = (text: string) => Buffer.from(text, 'latin1');

/** What is sent, the status of the answer, and what its text holds. `cut`: the connection ends without an answer. */
const TABLE: Readonly<Record<string, readonly [readonly Bytes[], number | 'cut', string]>> = {
  'a field that is missing': [post('{}'), 400, '"field":"to"'],
  'null in place of an object': [post('null'), 400, 'urn:redial:invalid-request'],
  'a number in place of an object': [post('1'), 400, 'urn:redial:invalid-request'],
  'a text in place of an object': [post('"x"'), 400, 'urn:redial:invalid-request'],
  'a field that nobody knows': [post(`{"to":"${SMS.to}","text":"x","sendat":"1h"}`), 400, 'sendat'],
  'a null field': [post(withText('null')), 400, '"field":"text"'],
  'a text that is an object': [post(withText('{}')), 400, '"field":"text"'],
  'half a surrogate pair': [post(withText('"\\ud83d"')), 400, 'is not valid Unicode'],
  'half a surrogate pair in from': [
    post(`{"to":"${SMS.to}","text":"x","from":"\\udc00"}`),
    400,
    '"field":"from"',
  ],
  'an id with NUL': [post(`{"to":"${SMS.to}","text":"x","id":"a\\u0000"}`), 400, '"field":"id"'],
  'an id with a line feed': [post(`{"to":"${SMS.to}","text":"x","id":"a\\n"}`), 400, '"field":"id"'],
  'a number with Arabic digits': [post(`{"to":"+٤٩١٥١١٢٣٤٥٦٧٨","text":"x"}`), 400, '"field":"to"'],
  'a number with a line feed': [post(`{"to":"${SMS.to}\\n","text":"x"}`), 400, '"field":"to"'],
  'sendAt in a year that JavaScript does not know': [
    post(`{"to":"${SMS.to}","text":"x","sendAt":"+275761-01-01T00:00:00Z"}`),
    400,
    'sendAt',
  ],
  'sendAt that is no day': [
    post(`{"to":"${SMS.to}","text":"x","sendAt":"2026-02-30T00:00:00Z"}`),
    400,
    'sendAt',
  ],
  'validFor below nothing': [post(`{"to":"${SMS.to}","text":"x","validFor":"-5m"}`), 400, 'validFor'],
  'validFor of a thousand years': [
    post(`{"to":"${SMS.to}","text":"x","validFor":"9000000h"}`),
    400,
    'validFor',
  ],
  'a body nested 10,000 deep': [post(DEEP), 400, 'urn:redial:invalid-request'],
  'a text nested 10,000 deep': [post(withText(DEEP)), 400, '"field":"text"'],
  'a key of 100,000 characters': [post(`{"${'k'.repeat(100_000)}":1}`), 400, 'urn:redial:invalid-request'],
  'a body of more than 1 MiB': [post(withText(`"${'x'.repeat(2 ** 20)}"`)), 413, 'urn:redial:too-large'],
  'a Content-Length of a terabyte': [
    [`POST /messages HTTP/1.1\r\nHost: a\r\n${JSON_TYPE}\r\nContent-Length: 1099511627776\r\n\r\n{`],
    413,
    'urn:redial:too-large',
  ],
  __proto__: [post(`{"__proto__":{"to":"${SMS.to}"},"text":"x"}`), 400, 'urn:redial:invalid-request'],
  'constructor.prototype': [
    post('{"constructor":{"prototype":{"to":"x"}}}'),
    400,
    'urn:redial:invalid-request',
  ],
  'JSON that ends early': [post('{"to":'), 400, 'the body is not JSON'],
  'two JSON texts': [post(`${sms}${sms}`), 400, 'the body is not JSON'],
  'a comment in JSON': [post(`/* x */${sms}`), 400, 'the body is not JSON'],
  'NaN in JSON': [post(withText('NaN')), 400, 'the body is not JSON'],
  'a bare line feed in a JSON text': [post(withText('"a\nb"')), 400, 'the body is not JSON'],
  'no body': [post(''), 400, 'the body is empty'],
  'ISO 8859-1 in JSON': [post(latin1(withText('"Gr\u00fc\u00dfe"'))), 400, 'the body is not UTF-8'],
  'UTF-8 that is cut in JSON': [
    post(Buffer.concat([Buffer.from('{"to":"x","text":"'), Buffer.from([0xf0, 0x9f]), Buffer.from('"}')])),
    400,
    'the body is not UTF-8',
  ],
  'UTF-16 JSON': [post(Buffer.from(`\ufeff${sms}`, 'utf16le')), 400, 'urn:redial:invalid-request'],
  'gzip that nobody asked for': [
    request('POST /messages', [JSON_TYPE, 'Content-Encoding: gzip'], Buffer.from([0x1f, 0x8b, 8, 0])),
    400,
    'the body is not UTF-8',
  ],
  'a form': [
    post('to=x', '/messages', 'Content-Type: application/x-www-form-urlencoded'),
    415,
    'urn:redial:unsupported-media-type',
  ],
  'plain text': [
    post(sms, '/messages', 'Content-Type: text/plain'),
    415,
    'urn:redial:unsupported-media-type',
  ],
  'no content type': [request('POST /messages', [], sms), 415, 'urn:redial:unsupported-media-type'],
  'a content type that is none': [
    post(sms, '/messages', 'Content-Type: ;;;'),
    415,
    'urn:redial:unsupported-media-type',
  ],
  'NDJSON where one SMS is asked for': [
    post(sms, '/messages', NDJSON_TYPE),
    415,
    'urn:redial:unsupported-media-type',
  ],
  'an empty key': [request('POST /messages', [JSON_TYPE, 'Idempotency-Key: '], sms), 400, 'idempotency-key'],
  'a key of 256 characters': [
    request('POST /messages', [JSON_TYPE, `Idempotency-Key: ${'k'.repeat(256)}`], sms),
    400,
    'idempotency-key',
  ],
  'bulk of an empty array': [bulk('[]', JSON_TYPE), 400, '"field":"body"'],
  'bulk of 10,001': [
    bulk(`[${Array.from({ length: 10_001 }, () => 1).join(',')}]`, JSON_TYPE),
    400,
    '"field":"body"',
  ],
  'bulk of a text': [bulk('"x"', JSON_TYPE), 400, '"field":"body"'],
  'a count of 10^300': [bulk('{"count":1e300,"text":"x"}', JSON_TYPE), 400, '"field":"count"'],
  'a count of 1.5': [bulk('{"count":1.5,"text":"x"}', JSON_TYPE), 400, '"field":"count"'],
  'a count with a text that cannot be sent': [
    bulk('{"count":9999999,"text":""}', JSON_TYPE),
    400,
    '"field":"text"',
  ],
  'a count with a number that nobody can have': [
    bulk('{"count":9,"text":"x","to":"+49151"}', JSON_TYPE),
    400,
    '"field":"to"',
  ],
  'an array of anything but SMS': [bulk(`[1,null,"x",[],${DEEP}]`, JSON_TYPE), 200, '{"item":5,"error"'],
  'NDJSON: not UTF-8': [bulk(latin1(withText('"Gr\u00fc\u00dfe"'))), 200, 'the line is not UTF-8'],
  'NDJSON: NUL alone': [bulk('\0\n'), 200, 'the line is not JSON'],
  'NDJSON: nested 10,000 deep': [bulk(withText(DEEP)), 200, '"field":"text"'],
  'NDJSON: __proto__': [bulk(`{"__proto__":{"to":"${SMS.to}"},"text":"x"}`), 200, '"error"'],
  'NDJSON: a line of more than 64 KiB': [
    bulk(withText(`"${'x'.repeat(70_000)}"`)),
    200,
    'the line is longer than 65536 bytes',
  ],
  'NDJSON: half a surrogate pair': [bulk(withText('"\\udc00"')), 200, 'is not valid Unicode'],
  'NDJSON: lines that end with a carriage return alone': [
    bulk(`${sms}\r${sms}`),
    200,
    'the line is not JSON',
  ],
  'NDJSON: no line at all': [bulk('\n \n\r\n'), 200, ''],
  'an id that is too long': [get(`/messages/${'a'.repeat(129)}`), 400, '"field":"id"'],
  'a path that is too long': [get(`/messages/${'a'.repeat(1_000)}`), 400, 'urn:redial:invalid-request'],
  'percent signs that make no text': [get('/messages/%ff%zz'), 400, 'urn:redial:invalid-request'],
  'steps in a path': [get('/docs/static/..%2f..%2f..%2fpackage.json'), 404, 'urn:redial:no-such-route'],
  'a day that is none': [get('/messages/x?on=2026-02-30'), 400, '"field":"on"'],
  'a parameter that nobody knows': [get('/messages?limits=1'), 400, 'limits'],
  'a limit of 0': [get('/messages?limit=0'), 400, '"field":"limit"'],
  'a limit of 1e9': [get('/messages?limit=1e9'), 400, '"field":"limit"'],
  'two limits': [get('/messages?limit=1&limit=2'), 400, '"field":"limit"'],
  'a cursor that no list gave': [get('/messages?cursor=!!'), 400, '"field":"cursor"'],
  'a cursor of a moment that is none': [
    get(`/messages?cursor=${Buffer.from('99999999T999999999Z-a-000001.0').toString('base64url')}`),
    400,
    '"field":"cursor"',
  ],
  'a number without its plus': [get(`/messages?to=${SMS.to}`), 400, '"field":"to"'],
  'since without an offset': [get('/messages?since=2026-01-01T00:00:00'), 400, '"field":"since"'],
  'a reason where nothing has failed': [get('/messages/success?reason=x'), 400, 'reason'],
  'a run name that is too long': [get(`/stats?run=${'r'.repeat(65)}`), 400, '"field":"run"'],
  'a method that the path does not know': [
    request('PUT /messages', [JSON_TYPE], sms),
    404,
    'urn:redial:no-such-route',
  ],
  'a path that nobody knows': [get('/nothing'), 404, 'urn:redial:no-such-route'],
  'a head of more than 16 KiB': [get('/stats', `X: ${'x'.repeat(20_000)}`), 413, 'urn:redial:too-large'],
  'too many headers': [
    get('/healthz', ...Array.from({ length: 3_000 }, (_, index) => `X${index}: x`)),
    413,
    'urn:redial:too-large',
  ],
  'no HTTP': [['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'], 400, 'urn:redial:invalid-request'],
  'a method that is none': [['NOTHING / HTTP/1.1\r\nHost: a\r\n\r\n'], 400, 'urn:redial:invalid-request'],
  'no host': [['GET /healthz HTTP/1.1\r\n\r\n'], 400, ''],
  'both lengths': [
    [
      `POST /messages HTTP/1.1\r\nHost: a\r\n${JSON_TYPE}\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    400,
    'urn:redial:invalid-request',
  ],
  'two lengths': [
    [
      `POST /messages HTTP/1.1\r\nHost: a\r\n${JSON_TYPE}\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}`,
    ],
    400,
    'urn:redial:invalid-request',
  ],
  'a length below 0': [
    [`POST /messages HTTP/1.1\r\nHost: a\r\n${JSON_TYPE}\r\nContent-Length: -1\r\n\r\n{}`],
    400,
    'urn:redial:invalid-request',
  ],
  'a chunk without a length': [
    chunked('/messages', JSON_TYPE, 'x\r\n{}\r\n0\r\n\r\n'),
    400,
    'urn:redial:invalid-request',
  ],
  'a chunk without a length in NDJSON': [
    chunked('/messages/bulk', NDJSON_TYPE, 'x\r\n{}\r\n0\r\n\r\n'),
    400,
    'urn:redial:invalid-request',
  ],
  'a line feed in a header': [
    ['GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n'],
    400,
    'urn:redial:invalid-request',
  ],
};

test('the table has at least 60 of them', () => {
  expect(Object.keys(TABLE).length).toBeGreaterThanOrEqual(60);
});

test('each is answered with what is wrong, none is accepted, and no log quotes it', async () => {
  const wrong: string[] = [];
  const cases = Object.entries(TABLE).values();
  const asking = Array.from({ length: 8 }, async () => {
    for (const [name, [chunks, status, holds]] of cases) {
      const answer = await sendRaw(port, chunks);
      const isProblem =
        Number(status) < 400 || holds === '' || answer.text.includes('application/problem+json');
      const isQuoted = /\n\s+at |node_modules|not for the log|5112345678/.test(answer.text);
      if (answer.status !== status || !answer.text.includes(holds) || !isProblem || isQuoted)
        wrong.push(`${name}: ${status} ${holds} was expected, seen: ${answer.text.slice(0, 600)}`);
    }
  });
  await Promise.all(asking);
  expect(wrong).toEqual([]);
  expect(await api.get('/healthz')).toMatchObject({ status: 200 });
  expect((await api.get('/stats')).body).toMatchObject({ accepted: 0 });
  const log = `${api.process.stdout}${api.process.stderr}`;
  expect(log).not.toMatch(/"level":(50|60)|"stack"|not for the log|5112345678/);
});
