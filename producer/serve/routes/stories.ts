/** GET /messages/{id}, and the lists of outcomes. */
import { z } from 'zod';
import { isoTime } from '../../../shared/domain/iso-time.ts';
import type { OutcomeStatus } from '../../../shared/domain/outcome/outcome.ts';
import { isPhoneNumber } from '../../../shared/domain/sms/sms.ts';
import { decodeCursor, type OutcomeList } from '../../../shared/pipeline/story/outcome-list.ts';
import { storySchema } from '../../../shared/pipeline/story/story.ts';
import type { StoryTeller } from '../../../shared/pipeline/story/story-teller.ts';
import type { TypedApi } from '../api.ts';
import { Problem, problemAnswers } from '../problem.ts';
import { smsIdSchema } from '../schemas.ts';

export interface StoryParts {
  readonly teller: StoryTeller;
  readonly list: OutcomeList;
}

const listSchema = z
  .object({
    messages: z.array(storySchema),
    cursor: z.string().optional().describe('of the next page; absent on the last one'),
    searchedBackTo: z.string().optional().describe('outcomes recorded before this moment were not looked at'),
  })
  .meta({ id: 'List' });

const listQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  cursor: z.string().max(200).optional(),
  run: z.string().max(64).optional(),
  to: z.string().optional().describe('a phone number in E.164; + is %2B in a query'),
  since: z.iso.datetime({ offset: true }).optional().describe('only outcomes recorded since then'),
  until: z.iso.datetime({ offset: true }).optional(),
});

const KINDS = {
  '/messages': { statuses: ['sent', 'failed', 'parked'], what: 'all outcomes' },
  '/messages/success': { statuses: ['sent'], what: 'SMS that were sent' },
  '/messages/failed': { statuses: ['failed'], what: 'SMS that failed' },
} as const satisfies Record<string, { statuses: readonly OutcomeStatus[]; what: string }>;

export function addStoryRoutes(app: TypedApi, { teller, list }: StoryParts): void {
  app.get(
    '/messages/:id',
    {
      schema: {
        summary: 'The whole story of an SMS',
        params: z.object({ id: smsIdSchema }),
        querystring: z.strictObject({
          on: z.iso.date().optional().describe('the day (UTC) of its outcome, where it is long ago'),
        }),
        response: { 200: storySchema, ...problemAnswers },
      },
    },
    async ({ params: { id }, query: { on } }) => {
      const told = await teller.tell(id, on === undefined ? undefined : Date.parse(on));
      if (told.kind === 'story') return told.story;
      throw new Problem('unknown-id', describeSearch(told, on));
    },
  );
  for (const [path, { statuses, what }] of Object.entries(KINDS)) {
    app.get(
      path,
      {
        schema: {
          summary: `Lists ${what}, the newest first`,
          querystring: listQuery.extend(
            path === '/messages/success' ? {} : { reason: z.string().max(200).optional() },
          ),
          response: { 200: listSchema, ...problemAnswers },
        },
      },
      async ({ query }) => {
        const { limit, cursor, run, to, since, until } = query;
        const reason = 'reason' in query && typeof query.reason === 'string' ? query.reason : undefined;
        const after = cursor === undefined ? undefined : decodeCursor(cursor);
        if (cursor !== undefined && after === undefined)
          throw invalid('cursor', 'is not one that a list gave');
        if (to !== undefined && !isPhoneNumber(to)) throw invalid('to', 'is not a phone number in E.164');
        const page = await list.read({
          ...{ statuses, limit, after, run, to, reason },
          sinceMs: since === undefined ? undefined : Date.parse(since),
          untilMs: until === undefined ? undefined : Date.parse(until),
        });
        return {
          messages: [...page.stories],
          ...(page.cursor === undefined ? {} : { cursor: page.cursor }),
          ...(page.searchedBackToMs === undefined ? {} : { searchedBackTo: isoTime(page.searchedBackToMs) }),
        };
      },
    );
  }
}

function invalid(field: string, detail: string): Problem {
  return new Problem('invalid-request', 'fields of the request cannot be used', [{ field, detail }]);
}

function describeSearch(
  { searchedBackToMs, isWhole }: { searchedBackToMs: number | undefined; isWhole: boolean },
  on: string | undefined,
): string {
  const none = 'Redis does not remember it';
  if (on !== undefined && isWhole) return `${none}, and no outcome recorded on ${on} is its own`;
  const back =
    searchedBackToMs === undefined
      ? 'no outcome was looked at'
      : `outcomes back to ${isoTime(searchedBackToMs)} were looked at`;
  return `${none}, and ${back}: ?on=2026-12-01 looks at another day`;
}
