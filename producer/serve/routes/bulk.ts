/** POST /messages/bulk: many SMS in one request. */
import { Readable } from 'node:stream';
import { z } from 'zod';
import { readTraceparent } from '../../../shared/domain/sms/traceparent.ts';
import type { TypedApi } from '../api.ts';
import { type BulkIntake, type Item, itemOf } from '../bulk-intake.ts';
import { linesOfStream } from '../ndjson-lines.ts';
import { Problem, problemAnswers } from '../problem.ts';
import { NDJSON } from '../read-body.ts';
import { NotAcceptedError, type NotAcceptedReason } from '../sms-intake.ts';

export interface BulkRouteParts {
  readonly bulk: BulkIntake;
  trouble(): NotAcceptedReason | undefined;
  /** A phone number that nobody has, for SMS that are made up. */
  makeNumber(smsNumber: number): string;
}

const PATH = '/messages/bulk';
const MAX_ITEMS = 10_000;
const MAX_COUNT = 10_000_000;
const JSON_LIMIT_BYTES = 24 * 2 ** 20;
const MADE_AT_ONCE = 500;

const countSchema = z
  .strictObject({
    count: z.int().min(1).max(MAX_COUNT),
    text: z.string(),
    to: z.string().optional().describe('default: numbers that nobody has'),
  })
  .meta({ id: 'Count' });
const bodySchema = z.union([
  z.array(z.unknown()).min(1).max(MAX_ITEMS).describe('SMS, as POST /messages takes them'),
  countSchema,
]);

export function addBulkRoutes(app: TypedApi, { bulk, trouble, makeNumber }: BulkRouteParts): void {
  // Read as it comes: see linesOfStream.
  app.addContentTypeParser(NDJSON, ({ routeOptions }, payload, done) => {
    if (routeOptions.url === PATH) done(null, payload);
    else done(new Problem('unsupported-media-type', 'send Content-Type: application/json'));
  });
  app.post(
    PATH,
    {
      bodyLimit: JSON_LIMIT_BYTES,
      // A stream is no value that a schema could judge.
      config: { documentedBody: bodySchema },
      schema: {
        summary: 'Accepts many SMS',
        description:
          `A JSON array of at most ${MAX_ITEMS}, or ${NDJSON} of any length (an SMS a line, 64 KiB at most), or a number of ` +
          'made up SMS. The answer has a line for each, in order: {"item":1,"id":"…"} for one that RabbitMQ has confirmed, ' +
          '{"item":2,"error":{…}} for one that is not accepted. Read it while you send. Where RabbitMQ goes away and does not come ' +
          'back, the last line is an error without an item: what follows was not read.',
        consumes: ['application/json', NDJSON],
        response: {
          200: { content: { [NDJSON]: { schema: z.string() } } },
          ...problemAnswers,
        },
      },
    },
    async ({ body, headers }, reply) => {
      const reason = trouble();
      if (reason !== undefined) throw new NotAcceptedError(reason);
      const isStream = headers['content-type']?.startsWith(NDJSON) === true;
      const items = isStream
        ? itemsOfLines(body as AsyncIterable<Buffer>)
        : itemsOf(readBody(body, bulk, makeNumber), makeNumber);
      // Where the answer ends early, the rest of the request is on its way: this connection cannot be used again.
      if (isStream) reply.header('connection', 'close');
      const answer: unknown = Readable.from(bulk.answer(items, readTraceparent(headers.traceparent)), {
        objectMode: false,
      });
      return reply.type(NDJSON).send(answer as string);
    },
  );
}

/** @throws Problem */
function readBody(
  body: unknown,
  bulk: BulkIntake,
  makeNumber: BulkRouteParts['makeNumber'],
): z.infer<typeof bodySchema> {
  const read = bodySchema.safeParse(body);
  if (read.success) {
    // What is wrong with one of them is wrong with all.
    if (!Array.isArray(read.data))
      bulk.requireUsable({ text: read.data.text, to: read.data.to ?? makeNumber(1) });
    return read.data;
  }
  const field = Array.isArray(body) || typeof body !== 'object' ? 'body' : 'count';
  throw new Problem('invalid-request', 'send an array of SMS, NDJSON, or how many to make up', [
    { field, detail: `is not 1 to ${MAX_ITEMS} SMS, or {"count":100,"text":"…"}` },
  ]);
}

async function* itemsOfLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<readonly Item[]> {
  for await (const lines of linesOfStream(chunks)) yield lines.map(itemOf);
}

async function* itemsOf(
  body: z.infer<typeof bodySchema>,
  makeNumber: (smsNumber: number) => string,
): AsyncGenerator<readonly Item[]> {
  if (Array.isArray(body)) return yield body.map((value) => ({ value }));
  const { count, text, to } = body;
  for (let first = 1; first <= count; first += MADE_AT_ONCE) {
    const length = Math.min(MADE_AT_ONCE, count - first + 1);
    yield Array.from({ length }, (_, index) => ({ value: { to: to ?? makeNumber(first + index), text } }));
  }
}
