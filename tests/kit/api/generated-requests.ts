/** Requests for every route of an OpenAPI document: some that can be used, most that cannot. */
import fc, { type Arbitrary } from 'fast-check';
import type { OpenApiDocument, Operation } from './contract.ts';

export interface GeneratedRequest {
  readonly method: string;
  readonly route: string;
  /** The path with the values of its parameters, and the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** Stands in every text and is a number that nobody has: no log may hold either. */
export const SECRET_TEXT = 'nobody-may-log-this';
export const SECRET_NUMBER = '+4915112345678';

const junk = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('', ' ', '0', '-1', '1e9', 'null', '__proto__', '../..', '%00', '\u0000', 'a'.repeat(300)),
);
const smsId = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom('a', 'b', 'order:1', 'api-20261129-3f9a1c-000001', 'a'.repeat(128)),
  },
  { weight: 1, arbitrary: junk },
);
const moment = fc.oneof(
  fc
    .date({ noInvalidDate: true, min: new Date('0000-01-01'), max: new Date('9999-12-31') })
    .map((date) => date.toISOString()),
  fc.constantFrom('2026-11-29T10:00Z', '0000-01-01T00:00:00+23:59', '9999-12-31T23:59:59-23:59', '1h', '10m'),
);

/** What fits the parameter of that name, now and then. */
const PARAMETERS: Readonly<Record<string, Arbitrary<string>>> = {
  id: smsId,
  on: fc.constantFrom('2026-11-29', '0000-01-01', '9999-12-31', '2026-02-30'),
  limit: fc.oneof(fc.integer({ min: 0, max: 1_001 }).map(String), fc.constantFrom('1.5', 'Infinity', '')),
  cursor: fc
    .constantFrom(
      '20261122T101530123Z-abc-000001.7',
      'TTTTTTTTTTTTTTTTTTT-a-000000.1',
      '99999999T999999999Z-a-000001.0',
    )
    .map((position) => Buffer.from(position).toString('base64url')),
  run: fc.constantFrom('api', '..', 'a|b', '*', ''),
  to: fc.constantFrom(SECRET_NUMBER, '+1', '15'),
  since: moment,
  until: moment,
  reason: fc.constantFrom('carrier unavailable', 'expired'),
  'idempotency-key': fc.constantFrom('k1', 'k2', 'k'.repeat(255), 'k'.repeat(256)),
};

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }).map((end) => `${SECRET_TEXT}${end}`),
  fc.constantFrom('', '\ud800', `${SECRET_TEXT}\u0000`, 'x'.repeat(1_601)),
);
const maybe = <Value>(value: Arbitrary<Value>): Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: value }, { weight: 1, arbitrary: fc.jsonValue() });
const sms = fc.record(
  {
    to: maybe(fc.constantFrom(SECRET_NUMBER, '+12025550123', '+49151', '+999123456789')),
    text: maybe(text),
    from: maybe(fc.string({ unit: 'binary' })),
    reference: maybe(fc.string({ unit: 'binary' })),
    id: maybe(smsId),
    sendAt: maybe(moment),
    priority: maybe(fc.constantFrom('high', 'normal', 'low', 'urgent')),
    validFor: maybe(fc.constantFrom('30s', '1d', '1s', '9000h', 'x')),
    __proto__: fc.constantFrom('x'),
  },
  { requiredKeys: ['to', 'text'] },
);
const wholeSms = fc.record({ to: fc.constant(SECRET_NUMBER), text: fc.constant(SECRET_TEXT) });
const anySms: Arbitrary<unknown> = fc.oneof(
  { weight: 3, arbitrary: wholeSms },
  { weight: 6, arbitrary: sms },
  { weight: 1, arbitrary: fc.jsonValue() },
);
const asJson = (value: unknown) => JSON.stringify(value) ?? 'null';

const BODIES: Readonly<Record<string, Arbitrary<string>>> = {
  '/messages': anySms.map(asJson),
  '/messages/bulk': fc.oneof(
    fc.array(anySms, { maxLength: 5 }).map(asJson),
    fc.record({ count: maybe(fc.integer({ min: -1, max: 5 })), text: maybe(text) }).map(asJson),
    fc.array(anySms.map(asJson), { maxLength: 5 }).map((lines) => lines.join('\n')),
  ),
};
const anyBody = fc.oneof(
  fc.constant(undefined),
  fc.json(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('{', '[]', '\ufeff{}', '{"__proto__":1}'),
);

/** One request for any of the routes. Those that wait for senders, for seconds, are rare. */
export function requestsFor({ paths }: OpenApiDocument): Arbitrary<GeneratedRequest> {
  const each = Object.entries(paths).flatMap(([route, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      weight: method === 'delete' || route.endsWith('/retry-now') ? 1 : 6,
      arbitrary: requestTo(method.toUpperCase(), route, operation),
    })),
  );
  return fc.oneof(...each);
}

function requestTo(method: string, route: string, operation: Operation): Arbitrary<GeneratedRequest> {
  const parameters = operation.parameters ?? [];
  const values = fc.tuple(
    ...parameters.map(({ name, in: place }) => {
      const fitting = PARAMETERS[name] ?? junk;
      const value = fc.oneof({ weight: 8, arbitrary: fitting }, { weight: 1, arbitrary: junk });
      return place === 'path' ? value : fc.option(value, { nil: undefined, freq: 2 });
    }),
  );
  const extra = fc.option(fc.tuple(junk, junk), { freq: 1, nil: undefined });
  const withBody =
    method === 'POST'
      ? fc.oneof({ weight: 9, arbitrary: BODIES[route] ?? anyBody }, anyBody)
      : fc.constant(undefined);
  const contentType = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.constantFrom(...Object.keys(operation.requestBody?.content ?? { 'application/json': 1 })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'text/plain',
        'application/xml',
        'application/json; charset=latin1',
        'x',
        '',
      ),
    },
  );
  return fc.tuple(values, extra, withBody, contentType).map(([given, added, body, type]) => {
    const query = new URLSearchParams();
    const headers: Record<string, string> = {};
    let path = route;
    for (const [index, { name, in: place }] of parameters.entries()) {
      const value = given[index];
      if (value === undefined) continue;
      if (place === 'path') path = path.replace(`{${name}}`, () => pathPartOf(value));
      else if (place === 'query') query.append(name, value);
      else headers[name] = value.replace(/[^\x20-\x7e]/g, '?').trim();
    }
    if (added !== undefined && added[0].length % 4 === 0) query.append(...added);
    if (body !== undefined && type !== '') headers['content-type'] = type;
    return { method, route, path: query.size === 0 ? path : `${path}?${query}`, headers, body };
  });
}

// A client would shorten `.` and `..`, and an empty part is another route.
function pathPartOf(value: string): string {
  const part = encodeURIComponent(value.toWellFormed());
  return /^\.{0,2}$/.test(part) ? 'dots' : part;
}
