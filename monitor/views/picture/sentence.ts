/** The sentence on top of each view: is it going well, and how long until it is done? */
import { counted } from '../../../shared/domain/format-count.ts';
import type { Snapshot } from '../../../shared/domain/snapshot.ts';
import { NO_SENDER, SILENT } from '../../../shared/pipeline/readings/problems.ts';
import { smsWaitingIn } from '../../../shared/pipeline/readings/queue-depths.ts';
import { grouped, percent, shortTime } from '../figures.ts';
import { aboutHowLong, secondsLeft } from './time-left.ts';

export interface Sentence {
  readonly tone: 'well' | 'done' | 'idle' | 'slow' | 'trouble' | 'unknown';
  readonly text: string;
}

/** From this share of failed attempts on, the carrier is what is wrong. */
const OUTAGE_FROM = 0.5;
/** Attempts per second that make a share of the last 10 s one to judge by. */
const ENOUGH_PER_SECOND = 1;
const LATE_FROM_SECONDS = 5;

/** @param lastFresh the latest snapshot before this one that was not stale: tells how old the numbers are */
export function sentenceOf(snapshot: Snapshot, lastFresh?: Pick<Snapshot, 'at'>): Sentence {
  const { state, accepted, inProgress } = snapshot;
  if (state === 'stale') return { tone: 'trouble', text: describeStale(snapshot, lastFresh) };
  if (accepted === null || inProgress === null)
    return { tone: 'unknown', text: 'Nothing is known yet: Redis has not answered' };
  const waiting = smsWaitingIn(snapshot.queues);
  const open = Math.max(inProgress, snapshot.run === undefined ? waiting : 0);
  if (open > 0 && snapshot.senders === 0) return { tone: 'trouble', text: describeNoSender(snapshot, open) };
  if (state === 'rebuilding') return describeRebuilding(snapshot, accepted);
  if (accepted === 0 && open === 0) return { tone: 'idle', text: describeNothing(snapshot) };
  if (open === 0) return describeDone(snapshot, accepted);
  if (snapshot.gateway?.state === 'paused') return { tone: 'slow', text: describePause(snapshot, open) };
  return describeProgress(snapshot, accepted, open);
}

function describeStale(snapshot: Snapshot, lastFresh: Pick<Snapshot, 'at'> | undefined): string {
  const isSilent = (start: string) => snapshot.problems.some((problem) => problem.startsWith(start));
  const isRedisSilent = isSilent(SILENT.redis);
  const isRabbitmqSilent = isSilent(SILENT.rabbitmq);
  const who = isRedisSilent && isRabbitmqSilent ? 'Redis and RabbitMQ do not answer' : undefined;
  const sentence = who ?? (isRedisSilent ? SILENT.redis : SILENT.rabbitmq);
  if (snapshot.accepted === null) return `${sentence}: nothing is known yet`;
  if (!isRedisSilent) {
    const { asOfSeconds } = snapshot.queues;
    if (asOfSeconds === null) return `${sentence}: what waits where is not known`;
    return `${sentence}: what waits where is ${age(asOfSeconds)} old`;
  }
  if (lastFresh === undefined) return `${sentence}: numbers are old`;
  return `${sentence}: numbers are ${age(secondsBetween(lastFresh.at, snapshot.at))} old`;
}

function describeNoSender({ problems }: Snapshot, open: number): string {
  const who = counted(open, 'SMS waits', 'SMS wait');
  return problems.includes(NO_SENDER)
    ? `${who} and ${NO_SENDER}`
    : `${who} and no sender gives a sign of life: killed, frozen, or cut off from Redis`;
}

function describeRebuilding({ senders }: Snapshot, accepted: number): Sentence {
  if (senders !== 0)
    return { tone: 'unknown', text: 'The counters are being rebuilt from S3: numbers are not whole yet' };
  if (accepted > 0)
    return { tone: 'unknown', text: 'The counters were lost: they are rebuilt from S3 when a sender runs' };
  return { tone: 'idle', text: 'Nothing is counted: start a sender with "npx sender", then send SMS' };
}

function describeNothing({ run, senders }: Snapshot): string {
  if (run !== undefined) return `Nothing of run "${run}" is accepted yet`;
  if (senders === 0) return 'Nothing is accepted yet: start a sender with "npx sender"';
  return 'Nothing is accepted yet: send SMS with "npx producer --num-messages 1000"';
}

function describeDone(snapshot: Snapshot, accepted: number): Sentence {
  const { sent, failed, parked, known, problems } = snapshot;
  const parts = [`${grouped(sent)} sent`, `${grouped(failed)} failed`];
  if ((parked ?? 0) > 0) parts.push(`${grouped(parked)} parked`);
  if ((known ?? 0) > 0) parts.push(`${grouped(known)} known from another run`);
  const each =
    accepted === 1 ? 'the one SMS has its outcome' : `all ${grouped(accepted)} SMS have their outcome`;
  const text = `${each}: ${parts.join(', ')}`;
  if (problems.length === 0) return { tone: 'done', text: `Done: ${text}` };
  return { tone: 'trouble', text: `Done, with ${counted(problems.length, 'problem', 'problems')}: ${text}` };
}

function describePause({ gateway, at }: Snapshot, open: number): string {
  const seconds = gateway?.until == null ? null : secondsBetween(at, gateway.until);
  const howLong = seconds === null || seconds < 1 ? '' : ` for ${age(seconds)} more`;
  return `The carrier takes nothing${howLong}: ${counted(open, 'SMS waits', 'SMS wait')}, no attempt is spent`;
}

/** @param open SMS without an outcome: in progress, or in a queue and not counted yet */
function describeProgress(snapshot: Snapshot, accepted: number, open: number): Sentence {
  const inProgress = snapshot.inProgress ?? 0;
  const parts: string[] = [];
  if (accepted > 0)
    parts.push(`${grouped(accepted - inProgress)} of ${grouped(accepted)} have their outcome`);
  if (open > inProgress)
    parts.push(`${counted(open - inProgress, 'SMS waits that is', 'SMS wait that are')} not counted yet`);
  if ((snapshot.held ?? 0) > 0) parts.push(`${grouped(snapshot.held)} held for later`);
  // How long an outage lasts, nobody knows.
  if (isOutage(snapshot)) {
    const share = percent(snapshot.lastTenSeconds?.failureRate ?? null);
    return {
      tone: 'trouble',
      text: `${share} % of the attempts of the last 10 s failed. Of the SMS, ${parts.join(', ')}`,
    };
  }
  const left = secondsLeft(snapshot);
  if (left !== undefined) parts.push(`done in ${aboutHowLong(left)}`);
  const { tone, opening } = judge(snapshot);
  return { tone, text: `${opening}: ${parts.join(', ')}` };
}

function isOutage({ lastTenSeconds: now }: Snapshot): boolean {
  return (now?.failureRate ?? 0) >= OUTAGE_FROM && (now?.attemptsPerSecond ?? 0) >= ENOUGH_PER_SECOND;
}

/** The worst comes first. */
function judge(snapshot: Snapshot): { tone: Sentence['tone']; opening: string } {
  const { lastTenSeconds: now, lastMinute, attempts, queues, problems } = snapshot;
  if (problems.length > 0)
    return { tone: 'trouble', opening: `Going on with ${counted(problems.length, 'problem', 'problems')}` };
  const atSenders = (queues.high ?? 0) + (queues.work ?? 0) + (queues.low ?? 0) + (queues.due ?? 0);
  if (lastMinute?.attemptsPerSecond === 0 && (attempts ?? 0) > 0 && atSenders > 0)
    return { tone: 'slow', opening: 'No attempt was recorded for a minute' };
  const late = now?.retryLatenessSeconds.p99 ?? 0;
  if (late >= LATE_FROM_SECONDS)
    return { tone: 'slow', opening: `Retries start ${shortTime(late)} late (p99)` };
  return { tone: 'well', opening: attempts === 0 ? 'Starting' : 'Going well' };
}

function secondsBetween(from: string, to: string): number {
  return (Date.parse(to) - Date.parse(from)) / 1_000;
}

function age(seconds: number): string {
  if (seconds < 100) return `${Math.max(0, Math.round(seconds))} s`;
  return seconds < 6_000 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3_600)} h`;
}
