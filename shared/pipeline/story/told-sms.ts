/** What is told of an SMS when it is accepted, for those who ask for its story before a recorder has met it. */
import { z } from 'zod';
import { parseJson } from '../../domain/parse-json.ts';
import { isRunName } from '../../domain/sms/sms.ts';

const schema = z.object({
  run: z.string().refine(isRunName),
  acceptedAtMs: z.number(),
  notBeforeMs: z.number().optional(),
  expiresAtMs: z.number().optional(),
  priority: z.enum(['high', 'normal', 'low']).optional(),
});

/** Times in milliseconds since the epoch. */
export type ToldSms = z.infer<typeof schema>;

export function encodeTold({ run, acceptedAtMs, notBeforeMs, expiresAtMs, priority }: ToldSms): string {
  return JSON.stringify({ run, acceptedAtMs, notBeforeMs, expiresAtMs, priority });
}

/** Undefined for a text that no version can have written. */
export function readTold(text: string): ToldSms | undefined {
  return schema.safeParse(parseJson(text)).data;
}
