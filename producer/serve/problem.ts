/** What the API answers where it does not do what it was asked for: RFC 9457, application/problem+json. */
import { z } from 'zod';
import { ServerUnavailableError } from '../../shared/errors.ts';
import { ConflictError } from './accept-once.ts';
import { NotAcceptedError } from './sms-intake.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Each kind of problem: the status of the answer, and its title. The names are stable. */
const KINDS = {
  'invalid-request': [400, 'The request cannot be used as it is'],
  unauthorized: [401, 'The request carries no valid token'],
  'unknown-id': [404, 'No SMS with this id is known'],
  'no-such-route': [404, 'There is nothing under this path'],
  'too-slow': [408, 'The request did not come in time'],
  'idempotency-conflict': [409, 'Another request was made with this Idempotency-Key'],
  'id-conflict': [409, 'Another SMS has this id'],
  'request-open': [409, 'The same request is being answered'],
  'too-large': [413, 'The request is too large'],
  'unsupported-media-type': [415, 'The API reads JSON'],
  'internal-error': [500, 'The API failed'],
  'not-accepting': [503, 'No SMS can be accepted now'],
  'not-confirmed': [503, 'RabbitMQ did not confirm the SMS'],
  'server-away': [503, 'A server that the request needs does not answer'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemKind = keyof typeof KINDS;

export interface FieldError {
  /** The field of the body, the query or the header at fault. */
  readonly field: string;
  readonly detail: string;
}

export const problemSchema = z
  .object({
    type: z.string().describe('urn:redial: and the name of the problem'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    errors: z.array(z.object({ field: z.string(), detail: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457' });

const problemContent = { content: { [PROBLEM_TYPE]: { schema: problemSchema } } };
/** The problems that every route may answer with, for its documentation. */
export const problemAnswers = { '4xx': problemContent, 503: problemContent };

export class Problem extends Error {
  readonly kind: ProblemKind;
  readonly errors: readonly FieldError[];
  readonly retryAfterSeconds: number | undefined;

  constructor(
    kind: ProblemKind,
    detail: string,
    errors: readonly FieldError[] = [],
    retryAfterSeconds?: number,
  ) {
    super(detail);
    this.kind = kind;
    this.errors = errors;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  get status(): number {
    return KINDS[this.kind][0];
  }

  /** The body of the answer. */
  toJSON(): z.infer<typeof problemSchema> {
    const [status, title] = KINDS[this.kind];
    const body = { type: `urn:redial:${this.kind}`, title, status, detail: this.message };
    return this.errors.length === 0 ? body : { ...body, errors: [...this.errors] };
  }
}

const AGAIN_SECONDS = 2;

/** The problem that an error of the pipeline is; undefined where it is none of a client's business. */
export function problemOf(error: unknown): Problem | undefined {
  if (error instanceof Problem) return error;
  if (error instanceof ConflictError) return problemOfConflict(error);
  if (error instanceof NotAcceptedError) return problemOfRefusal(error);
  if (error instanceof ServerUnavailableError)
    return new Problem(
      'server-away',
      'Redis or S3 does not answer: GET /health tells which',
      [],
      AGAIN_SECONDS,
    );
  return undefined;
}

function problemOfConflict({ kind }: ConflictError): Problem {
  switch (kind) {
    case 'key':
      return new Problem('idempotency-conflict', 'the Idempotency-Key was used for another request', [
        { field: 'idempotency-key', detail: 'was used for another request' },
      ]);
    case 'id':
      return new Problem('id-conflict', 'the id belongs to another SMS', [
        { field: 'id', detail: 'belongs to another SMS' },
      ]);
    case 'open':
      return new Problem('request-open', 'the same request is not answered yet', [], AGAIN_SECONDS);
  }
}

function problemOfRefusal({ reason }: NotAcceptedError): Problem {
  switch (reason) {
    case 'away':
      return new Problem('not-accepting', 'RabbitMQ does not answer', [], AGAIN_SECONDS);
    case 'alarm':
      return new Problem('not-accepting', 'RabbitMQ has a memory or disk alarm', [], AGAIN_SECONDS);
    case 'closing':
      return new Problem('not-accepting', 'the API is about to end', [], AGAIN_SECONDS);
    case 'unpublishable':
      return new Problem('too-large', 'no message can carry this SMS');
    case 'unconfirmed':
    case 'unanswered':
      return new Problem(
        'not-confirmed',
        'RabbitMQ may have taken the SMS all the same: repeat the request with the same id or Idempotency-Key',
        [],
        AGAIN_SECONDS,
      );
  }
}
