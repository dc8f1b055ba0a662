/** What the API answers where it cannot do what was asked for, whoever found out: a route, the framework or Node.js. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { maskPhoneNumbersIn } from '../../shared/domain/sms/sms.ts';
import type { Logger } from '../../shared/ports/logger.ts';
import { type FieldError, PROBLEM_TYPE, Problem, problemOf } from './problem.ts';
import { BODY_LIMIT_BYTES, HEADER_LIMIT_BYTES } from './read-body.ts';

/** Answers with a problem in place of what was asked for. */
export function answerProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  const { status, retryAfterSeconds } = problem;
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds);
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(status).type(PROBLEM_TYPE).send(problem.toJSON());
}

/** What is wrong with the request, or with us. */
export function explain(error: FastifyError, log: Logger): Problem {
  const problem = problemOf(error);
  if (problem !== undefined) return problem;
  if (hasZodFastifySchemaValidationErrors(error))
    return new Problem(
      'invalid-request',
      'fields of the request cannot be used',
      error.validation.map(fieldErrorOf),
    );
  switch (error.statusCode) {
    case 400:
    case 414:
      return new Problem('invalid-request', describeBadRequest(error));
    case 401:
      return new Problem('unauthorized', 'send "Authorization: Bearer" and the token that API_TOKEN names');
    case 413:
    case 431:
      return new Problem(
        'too-large',
        `a body may have ${BODY_LIMIT_BYTES} bytes, and a head ${HEADER_LIMIT_BYTES}`,
      );
    case 415:
      return new Problem('unsupported-media-type', 'send Content-Type: application/json');
  }
  // The client went away, or was cut.
  if (error.code === 'ECONNRESET') return new Problem('invalid-request', 'the request did not come whole');
  log.error({ err: error }, 'a request to the API failed');
  return new Problem('internal-error', 'the log of the API tells why');
}

/** The parser of JSON quotes what it read, and that may be a phone number. */
function describeBadRequest({ code }: FastifyError): string {
  switch (code) {
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return 'the body is empty';
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return 'the body is not as long as Content-Length says';
    case 'FST_ERR_BAD_URL':
      return 'the path is not one that percent signs can make';
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return 'a part of the path is too long';
    default:
      return 'the body is not JSON';
  }
}

function fieldErrorOf({
  instancePath,
  message = 'cannot be used',
}: {
  instancePath: string;
  message?: string;
}): FieldError {
  const field = instancePath.replace(/^\//, '').replaceAll('/', '.');
  return { field: field === '' ? 'body' : field, detail: maskPhoneNumbersIn(message).slice(0, 200) };
}

/** Answers what never became a request, and closes its connection. */
export function answerClientError({ code }: { readonly code?: string }, socket: Socket): void {
  // Bytes of an answer that is on its way must not be mixed with those of another one.
  const answering = (socket as { _httpMessage?: { readonly headersSent: boolean } })._httpMessage;
  if (code === 'ECONNRESET' || !socket.writable || answering?.headersSent === true)
    return void socket.destroy();
  const problem = problemOfHead(code);
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\nConnection: close\r\nContent-Type: ${PROBLEM_TYPE}\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function problemOfHead(code: string | undefined): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new Problem('too-large', `a head may have ${HEADER_LIMIT_BYTES} bytes`);
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('too-slow', 'the head of the request did not come in time');
    default:
      return new Problem('invalid-request', 'the request is not HTTP/1.1');
  }
}
