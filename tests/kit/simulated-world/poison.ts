/**
 * A journal message that any client with the rights may write: an outcome whose text is nested so deep that no digest of it
 * can be made. It must be parked, and must not hold up other messages.
 */
const NESTED_DEEP = 20_000;

const outcome = JSON.stringify({
  ...{ smsId: 'poison', run: 'demo', queue: 'sms', to: '+15550100001', text: 'TEXT', status: 'sent' },
  ...{ acceptedAt: '2026-11-22T10:00:00.000Z', finishedAt: '2026-11-22T10:00:01.000Z', attempts: [] },
});
const text = `${'['.repeat(NESTED_DEEP)}${']'.repeat(NESTED_DEEP)}`;

export const POISON = Buffer.from(`${outcome.replace('"TEXT"', text)}\n`);
