/** The run that an API puts its SMS in, one a day. @param day `2026-12-01` (UTC) @param processMark six hexadecimal digits */
export function apiRunOf(day: string, processMark: string): string {
  return `api-${day.replaceAll('-', '')}-${processMark}`;
}

/** When the first SMS of a run can have been accepted, milliseconds since the epoch; 0 for a run that is none of the API. */
export function earliestOf(run: string): number {
  const [, year, month, day] = /^api-(\d{4})(\d{2})(\d{2})-[0-9a-f]{6}$/.exec(run) ?? [];
  return Date.parse(`${year}-${month}-${day}`) || 0;
}
