import { MAX_DURATION_MS, parseDuration } from '../../domain/schedule/duration.ts';
import {
  parseRetrySchedule,
  RETRY_ANCHORS,
  type RetrySchedule,
  UNKNOWN_RULES,
} from '../../domain/schedule/retry-schedule.ts';
import { parseSendingWindow, type SendingWindow } from '../../domain/schedule/sending-window.ts';
import { MAX_QUEUE_SHARDS } from '../../domain/topology/topology.ts';
import { kindOf, oneOf, textLike, wholeNumber } from './kinds.ts';
import { type Kind, setting } from './setting.ts';

const QUEUE_NAME = textLike(
  'name',
  // `sms.internal` is the exchange for what is Redial's own of the pipeline `sms`.
  /^(?!amq\.)(?!.*\.internal$)(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}$/,
  'must be 1 to 100 letters, digits, dots, underscores or hyphens, not beginning with "amq.", not ending with ".internal"',
);

const SCHEDULE: Kind<RetrySchedule> = {
  unit: 'durations',
  hasOwnSentences: true,
  read(text) {
    const parsed = parseRetrySchedule(text);
    return 'schedule' in parsed ? { value: parsed.schedule } : { problems: [parsed.problems.join('; ')] };
  },
};

const WINDOW: Kind<SendingWindow> = {
  unit: 'hours and time zone',
  hasOwnSentences: true,
  read(text) {
    const parsed = parseSendingWindow(text);
    return 'window' in parsed ? { value: parsed.window } : { problems: [parsed.problem] };
  },
};

/** Read in milliseconds. */
const DURATION = kindOf(
  'duration',
  'must be a duration from 1s to a year (write 30s, 5m, 12h or 1d)',
  (text) => {
    const durationMs = parseDuration(text) ?? 0;
    return durationMs >= 1_000 && durationMs <= MAX_DURATION_MS ? durationMs : undefined;
  },
);

/** The pipeline: its queues, its retries, how much a sender takes at once, and how long an SMS is remembered. */
export const PIPELINE = {
  queueName: setting('QUEUE_NAME', 'sms', QUEUE_NAME, 'prefix of every exchange, queue and Redis key'),
  queueShards: setting(
    'QUEUE_SHARDS',
    '1',
    wholeNumber('queues', 1, MAX_QUEUE_SHARDS),
    'work queues that fresh SMS are spread over; senders take from all there are',
  ),
  retrySchedule: setting(
    'RETRY_SCHEDULE',
    '5s,30s,2m,10m',
    SCHEDULE,
    'waits before the 2nd, 3rd, … attempt; at most 50, each 1ms to 1 year',
    '--retry-schedule <waits>',
  ),
  retryAnchor: setting(
    'RETRY_ANCHOR',
    'failure',
    oneOf(RETRY_ANCHORS),
    'what the waits count from: the failed attempt, or the acceptance of the SMS (added up)',
  ),
  sendingWindow: setting(
    'SENDING_WINDOW',
    '',
    WINDOW,
    'no attempt starts outside of it, such as 08:00-21:00 Europe/Berlin; none: at any time',
  ),
  unknownResult: setting(
    'UNKNOWN_RESULT',
    'retry',
    oneOf(UNKNOWN_RULES),
    'what becomes of an SMS that may have been sent, without a clear answer',
  ),
  senderConcurrency: setting(
    'SENDER_CONCURRENCY',
    '100',
    wholeNumber('SMS', 1, 60_000),
    'SMS being sent at once by one sender',
    '--concurrency <number>',
  ),
  keepTime: setting(
    'KEEP_TIME',
    '1d',
    DURATION,
    'how long Redis remembers an SMS after its outcome; then its id is a new SMS',
  ),
};
