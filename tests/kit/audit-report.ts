import { z } from 'zod';

const auditShape = z.object({
  accepted: z.number().nullable(),
  sent: z.number(),
  failed: z.number(),
  parked: z.number(),
  inProgress: z.number().nullable(),
  missing: z.number().nullable(),
  duplicateRecords: z.number(),
  countersAgree: z.boolean().nullable(),
  balanced: z.boolean(),
});
export type AuditReport = z.infer<typeof auditShape>;

/** What `monitor --audit --json` says, among all that a container printed. @throws Error where it says nothing */
export function readAuditReport(output: string): AuditReport {
  const json = output.split('\n').find((line) => line.startsWith('{"accepted"'));
  if (json === undefined) throw new Error(`the audit printed no report:\n${output}`);
  return auditShape.parse(JSON.parse(json));
}
