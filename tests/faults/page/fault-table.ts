/** The table of docs/faults.md and its like: one row for each fault, written by the suite and never by hand. */
import type { RabbitMq4Release } from '../../../scripts/servers/private/rabbitmq-4.ts';
import type { Fault } from '../fault.ts';
import { renewsRow } from './fault-plan.ts';
import type { RunFigures } from './run-figures.ts';

const COLUMNS = [
  'fault',
  'runs',
  'accepted',
  'lost',
  'unexpected',
  'early',
  'extra',
  'duplicated records',
  'repeated sends',
  'recovery p50',
  'recovery max',
  'failed runs',
] as const;

/** A page of what was seen. */
export interface FaultPage {
  readonly file: string;
  readonly title: string;
  /** What writes it. */
  readonly writer: string;
  /** What repeats one run, before its options. */
  readonly repeater: string;
  /** So many runs of a fault are promised at most; undefined: as many as the fault itself promises. */
  readonly mostRuns?: number;
}

/** The page for the RabbitMQ that is tested; undefined for what the machine has. */
export function pageOf(release: RabbitMq4Release | undefined): FaultPage {
  if (release === undefined)
    return {
      file: 'faults.md',
      title: 'Faults',
      writer: 'npm run test:faults',
      repeater: 'npm run test:faults',
    };
  return {
    file: `faults-rabbitmq-${release}.md`,
    title: `Faults, with RabbitMQ ${release}`,
    writer: `npm run test:rabbitmq${release}`,
    repeater: `REDIAL_TEST_RABBITMQ=${release} npm run test:faults`,
    mostRuns: 2,
  };
}

/** How often a fault is played for a row of the page. */
export function promisedRunsOf({ mostRuns = Infinity }: FaultPage, { runs }: Fault): number {
  return Math.min(runs, mostRuns);
}

const headOf = ({ title, writer, repeater }: FaultPage) => `# ${title}

What became of every SMS under every fault, compared by name with the outcome that run, seed and settings predict.
Written by \`${writer}\`, which names a seed for each run; \`${repeater} -- --only NAME --runs 1 --seed S\`
repeats one. Every run has RabbitMQ (one node), Redis and S3 as private servers and real producers and senders as processes.

- runs: how many were played of how many that are promised; fewer than promised renew no row, and
  \`${repeater} -- --missing\` plays what is missing
- accepted: SMS that RabbitMQ confirmed to the producer, over all runs
- lost: accepted, and no outcome when twice the time for recovery was over, those that still waited in a queue included;
  unexpected: an outcome nobody produced; early: an attempt before it was due;
  extra: an attempt beyond the schedule or after a success. These must be 0, counters must equal outcomes and every
  outcome the predicted one, or the run has failed
- duplicated records: SMS with more than one raw record in S3, legal after a crash, and where a sender that could not
  reach a store was taken for gone; readers keep one
- repeated sends: attempts that were made again because a crash or a lost connection left it open whether they had been
- recovery: seconds from the end of the fault to the last outcome, the sending of what still waited included. 15 s are
  the heartbeat after which what a dead recorder had claimed is taken over; 15 s more may be RabbitMQ's own timeout for
  dead letters on their way (\`dead_letter_worker_publisher_confirm_timeout\`, 180 s on a broker we did not configure)
`;

/** What has been seen of a fault. */
export interface SeenFault {
  readonly fault: Fault;
  readonly runs: readonly RunFigures[];
  /** The first seed and the day. */
  readonly about: string;
}

/** Whether this may be told in the page. */
export function isFull(page: FaultPage, { fault, runs }: SeenFault): boolean {
  return renewsRow(runs.length, promisedRunsOf(page, fault));
}

/** One row as text. */
export function renderRow(page: FaultPage, { fault, runs, about }: SeenFault): string {
  const sum = (count: (run: RunFigures) => number) =>
    String(runs.reduce((total, run) => total + count(run), 0));
  const recoveries = runs.flatMap(({ recoverySeconds }) => recoverySeconds ?? []).sort((a, b) => a - b);
  const cells: Record<(typeof COLUMNS)[number], string> = {
    fault: `\`${fault.name}\` ${fault.title}`,
    runs: `${runs.length} of ${promisedRunsOf(page, fault)}`,
    accepted: sum(({ accepted }) => accepted),
    lost: sum(({ lost }) => lost),
    unexpected: sum(({ unexpected }) => unexpected),
    early: sum(({ early }) => early),
    extra: sum(({ extra }) => extra),
    'duplicated records': sum(({ duplicated }) => duplicated),
    'repeated sends': sum(({ repeatedSends }) => repeatedSends),
    'recovery p50': seconds(recoveries[Math.floor((recoveries.length - 1) / 2)]),
    'recovery max': seconds(recoveries.at(-1)),
    'failed runs': sum(({ hasFailed }) => (hasFailed ? 1 : 0)),
  };
  return `| ${COLUMNS.map((column) => cells[column]).join(' | ')} | ${about} |`;
}

/** How many runs each row of a page tells. @param text undefined where there is no page yet */
export function readToldRuns(text: string | undefined): Map<string, number> {
  return new Map([...rowsIn(text)].map(([name, line]) => [name, Number(RUNS_CELL.exec(line)?.[2] ?? 0)]));
}

/**
 * The page with new rows for what was seen as often as promised, and the other rows as they were.
 * @param text undefined where there is no page yet
 * @param faults in the order of the page
 */
export function renewPage(
  page: FaultPage,
  text: string | undefined,
  faults: readonly Fault[],
  seen: readonly SeenFault[],
): string {
  const before = rowsIn(text);
  const lines = faults.flatMap((fault) => {
    const renewed = seen.find((each) => each.fault === fault && isFull(page, each));
    if (renewed !== undefined) return renderRow(page, renewed);
    return before.get(fault.name)?.replace(RUNS_CELL, `$1$2 of ${promisedRunsOf(page, fault)} |`) ?? [];
  });
  const columns = [...COLUMNS, 'seed, date'];
  return [
    headOf(page),
    `| ${columns.join(' | ')} |`,
    `|${columns.map((column) => (column === 'fault' || column === 'seed, date' ? '---' : '---:')).join('|')}|`,
    ...lines,
    '',
  ].join('\n');
}

/** The second cell of a row. */
const RUNS_CELL = /^(\|[^|]+\| )(\d+)(?: of \d+)? \|/;

/** The rows of a page by the name of their fault. */
function rowsIn(text: string | undefined): Map<string, string> {
  return new Map(
    (text ?? '').split('\n').flatMap((line): [string, string][] => {
      const name = /^\| `([^`]+)`/.exec(line)?.[1];
      return name === undefined ? [] : [[name, line]];
    }),
  );
}

function seconds(value: number | undefined): string {
  return value === undefined ? '–' : `${value.toFixed(1)} s`;
}
