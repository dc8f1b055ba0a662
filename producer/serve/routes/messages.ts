/** POST /messages: one SMS. */
import { isoTime } from '../../../shared/domain/iso-time.ts';
import { readTraceparent } from '../../../shared/domain/sms/traceparent.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import type { Accepted, AcceptOnce } from '../accept-once.ts';
import type { TypedApi } from '../api.ts';
import { Problem, problemAnswers } from '../problem.ts';
import { acceptedSchema, type JudgeNumber, messageHeaders, readSms, smsSchema } from '../schemas.ts';

export interface MessageParts {
  readonly once: AcceptOnce;
  readonly judgeNumber: JudgeNumber;
  readonly clock: Clock;
}

export function addMessageRoutes(app: TypedApi, { once, judgeNumber, clock }: MessageParts): void {
  app.post(
    '/messages',
    {
      schema: {
        summary: 'Accepts an SMS',
        description: 'Answers once RabbitMQ has confirmed it. Until then it is not accepted.',
        body: smsSchema,
        headers: messageHeaders,
        response: { 202: acceptedSchema, ...problemAnswers },
      },
    },
    async (request, reply) => {
      const read = readSms(request.body, clock.nowMs(), judgeNumber);
      if ('errors' in read)
        throw new Problem('invalid-request', 'fields of the request cannot be used', read.errors);
      const accepted = await once.accept({
        ...read.sms,
        traceparent: readTraceparent(request.headers.traceparent),
        idempotencyKey: request.headers['idempotency-key'],
        asWritten: JSON.stringify(request.body),
      });
      return reply.code(202).header('location', `/messages/${accepted.id}`).send(answerOf(accepted));
    },
  );
}

function answerOf({ id, acceptedAtMs, notBeforeMs, isRepeated }: Accepted) {
  return {
    id,
    ...(acceptedAtMs === undefined ? {} : { acceptedAt: isoTime(acceptedAtMs) }),
    ...(notBeforeMs === undefined ? {} : { sendAt: isoTime(notBeforeMs) }),
    repeated: isRepeated,
  };
}
