/** The table of docs/faults.md and its like: one row for each fault, written by the suite and never by hand. */
import type { Fault } from './fault.ts';
import type { RunResult } from './run-fault.ts';

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
}

export const PAGE: FaultPage = {
  file: 'faults.md',
  title: 'Faults',
  writer: 'npm run test:faults',
  repeater: 'npm run test:faults',
};

export const PAGE_OF_4: FaultPage = {
  file: 'faults-rabbitmq-4.md',
  title: 'Faults, with RabbitMQ 4',
  writer: 'npm run test:rabbitmq4',
  repeater: 'REDIAL_TEST_RABBITMQ=4 npm run test:faults',
};

const headOf = ({ title, writer, repeater }: FaultPage) => `# ${title}

What became of every SMS under every fault, compared by name with the outcome that run, seed and settings predict.
Written by \`${writer}\`, which names a seed for each run; \`${repeater} -- --only NAME --runs 1 --seed S\`
repeats one. Every run has RabbitMQ (one node), Redis and S3 as private servers and real producers and senders as processes.

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

/** One row as text. */
export function describeRow(fault: Fault, results: readonly RunResult[], about: string): string {
  const sum = (count: (result: RunResult) => number) =>
    String(results.reduce((total, result) => total + count(result), 0));
  const recoveries = results.flatMap(({ recoverySeconds }) => recoverySeconds ?? []).sort((a, b) => a - b);
  const cells: Record<(typeof COLUMNS)[number], string> = {
    fault: `\`${fault.name}\` ${fault.title}`,
    runs: String(results.length),
    accepted: sum(({ verdict }) => verdict?.acceptedCount ?? 0),
    lost: sum(({ verdict }) => verdict?.lost.length ?? 0),
    unexpected: sum(({ verdict }) => verdict?.unexpected.length ?? 0),
    early: sum(({ verdict }) => verdict?.early.length ?? 0),
    extra: sum(({ verdict }) => verdict?.extra.length ?? 0),
    'duplicated records': sum(({ verdict }) => verdict?.duplicated.length ?? 0),
    'repeated sends': sum(({ verdict }) => verdict?.repeatedSends ?? 0),
    'recovery p50': seconds(recoveries[Math.floor((recoveries.length - 1) / 2)]),
    'recovery max': seconds(recoveries.at(-1)),
    'failed runs': sum(({ problems }) => (problems.length > 0 ? 1 : 0)),
  };
  return `| ${COLUMNS.map((column) => cells[column]).join(' | ')} | ${about} |`;
}

/** The page with these rows new, and the other rows as they were. @param text undefined where there is none yet */
export function renewPage(
  page: FaultPage,
  text: string | undefined,
  order: readonly string[],
  rows: ReadonlyMap<string, string>,
): string {
  const before = new Map(
    (text ?? '').split('\n').flatMap((line): [string, string][] => {
      const name = /^\| `([^`]+)`/.exec(line)?.[1];
      return name === undefined ? [] : [[name, line]];
    }),
  );
  const lines = order.flatMap((name) => rows.get(name) ?? before.get(name) ?? []);
  const columns = [...COLUMNS, 'seed, date'];
  return [
    headOf(page),
    `| ${columns.join(' | ')} |`,
    `|${columns.map((column) => (column === 'fault' || column === 'seed, date' ? '---' : '---:')).join('|')}|`,
    ...lines,
    '',
  ].join('\n');
}

function seconds(value: number | undefined): string {
  return value === undefined ? '–' : `${value.toFixed(1)} s`;
}
