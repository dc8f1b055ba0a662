/** How bodies are read: as JSON in UTF-8, and for a limited time. */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.ts';

export const BODY_LIMIT_BYTES = 2 ** 20;
export const HEADER_LIMIT_BYTES = 16 * 1024;

/** An SMS a line, read as it comes. */
export const NDJSON = 'application/x-ndjson';

/** Bytes that are no UTF-8 would become other characters, and an SMS would be sent with them. Nothing but JSON is read. */
export function readJsonStrictly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (!Buffer.isBuffer(body) || !isUtf8(body))
      return done(new Problem('invalid-request', 'the body is not UTF-8'));
    return parse(request, body.toString(), done);
  });
}

/** Cuts a client whose body does not come in time. A client that sends NDJSON may take as long as it likes. */
export function limitBodies(app: FastifyInstance, withinMs: number): void {
  app.addHook('preParsing', ({ raw }, _, payload, done) => {
    if (!raw.complete && raw.headers['content-type']?.startsWith(NDJSON) !== true) {
      // A request that has come whole may wait for its answer as long as that takes.
      const timer = setTimeout(() => raw.complete || raw.destroy(), withinMs);
      raw.once('close', () => clearTimeout(timer));
      raw.once('end', () => clearTimeout(timer));
    }
    done(null, payload);
  });
}
