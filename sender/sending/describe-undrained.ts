/** What a sender leaves behind that ran out of time. At least one of the two numbers is not 0. */
export function describeUndrained(unfinishedSms: number, unrecordedMessages: number): string {
  const left = [
    ...(unfinishedSms > 0 ? [`${unfinishedSms} SMS`] : []),
    ...(unrecordedMessages > 0
      ? [`${unrecordedMessages} journal message${unrecordedMessages === 1 ? '' : 's'}`]
      : []),
  ].join(' and ');
  return `not drained within SHUTDOWN_TIMEOUT: ${left} ${describeReturn(unfinishedSms, unrecordedMessages)}`;
}

// SMS come from several queues, journal messages from one.
function describeReturn(unfinishedSms: number, unrecordedMessages: number): string {
  if (unfinishedSms + unrecordedMessages === 1) return 'goes back to its queue';
  return unfinishedSms === 0 ? 'go back to their queue' : 'go back to their queues';
}
