/** DELETE /messages/{id} and POST /messages/{id}/retry-now: what is decided about SMS that wait. */
import { z } from 'zod';
import type { Result } from '../../move/direct/judge-result.ts';
import { explain, RESULTS } from '../../move/direct/judge-result.ts';
import type { TypedApi } from '../api.ts';
import { Problem, problemAnswers } from '../problem.ts';
import { smsIdSchema } from '../schemas.ts';

export interface DirectiveParts {
  /** @throws ServerUnavailableError */
  direct(command: 'cancel' | 'retry-now', smsId: string): Promise<Result>;
}

const directedSchema = z
  .object({ id: z.string(), result: z.enum(RESULTS), detail: z.string() })
  .meta({ id: 'Directed' });

const response = { 200: directedSchema, ...problemAnswers };

export function addDirectiveRoutes(app: TypedApi, { direct }: DirectiveParts): void {
  const params = z.object({ id: smsIdSchema });
  app.delete(
    '/messages/:id',
    { schema: { summary: 'Cancels an SMS: no attempt of it begins any more', params, response } },
    ({ params: { id } }) => answer('cancel', id),
  );
  app.post(
    '/messages/:id/retry-now',
    { schema: { summary: 'Sends an SMS now that waits for its retry or its moment', params, response } },
    ({ params: { id } }) => answer('retry-now', id),
  );

  async function answer(command: 'cancel' | 'retry-now', id: string) {
    const result = await direct(command, id);
    if (result === 'unknown id')
      throw new Problem('unknown-id', 'no SMS with this id waits, and none has ended');
    return { id, result, detail: explain(result, command) };
  }
}
