/** What a sender tells of itself with each sign of life, and what a snapshot shows of it. */
import { z } from 'zod';
import { parseJson } from './parse-json.ts';

const schema = z.object({
  host: z.string().max(255),
  /** SMS that are with the gateway. */
  inFlight: z.number().nonnegative(),
  /** Attempts that the gateway answered, of the seconds since its sign of life before. */
  attemptsPerSecond: z.number().nonnegative(),
});

export type SenderReport = z.infer<typeof schema>;

/** Null: an older version, which tells nothing of itself. */
export type SeenSender = { readonly id: string; readonly lastSeenSeconds: number } & {
  readonly [Field in keyof SenderReport]: SenderReport[Field] | null;
};

/** @param report as Redis keeps it; null where there is none */
export function seenSenderOf(id: string, lastSeenSeconds: number, report: string | null): SeenSender {
  const told = schema.safeParse(parseJson(report ?? '')).data;
  return {
    ...{ id, host: told?.host ?? null, inFlight: told?.inFlight ?? null },
    ...{ attemptsPerSecond: told?.attemptsPerSecond ?? null, lastSeenSeconds },
  };
}
