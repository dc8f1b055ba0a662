/** bench/README.md: written by the bench, never by hand. What was not measured this time stays as it was. */
import type { Question } from '../question.ts';
import { describeVerdict } from '../questions/thresholds.ts';
import { type Answer, type Circumstances, describeInOneLine } from './results.ts';
import { renderTable } from './table.ts';

const HEAD = `# Bench

How fast Redial is, and what it costs. Written by the bench itself:

\`\`\`sh
npm run bench                                   # everything, 5 rounds: about an hour
npm run bench -- --only publish,drain           # some of the questions
npm run bench -- --quick                        # the ratios alone, with small counts: under 3 minutes
\`\`\`

\`--rounds N\` measures more or less often, \`--no-write\` keeps nothing. Exit code 99 says that something which must be
reached was missed; with \`--quick\`, that a ratio was missed by more than a fifth. \`thresholds.ts\` says what must be reached.
\`REDIAL_TEST_RABBITMQ=4.3\` before it measures on RabbitMQ 4.3; \`native-retry\` can be asked there only.

Measured are the built commands as people run them, as processes of their own, beside plain programs (\`baselines/\`) in
the same session: round by round, every other round the other way round. RabbitMQ (one node), Redis and S3 (the embedded
server) are private to the bench and on the same machine; between rounds they are emptied, and waited for until idle.
Figures are medians with minimum and maximum in brackets. CPU time is what Linux counts for a process and its children:
it stays comparable where rates do not, on a machine that is busy with other things too. Ratios are better than figures.

Every run keeps its values as JSON and as a page with plots in \`results/\`.
`;

const NOT_MEASURED = 'Not measured yet.';

/** The page with these answers new, and the others as they were. @param page undefined where there is none yet */
export function renewReadme(
  page: string | undefined,
  questions: readonly Question[],
  circumstances: Circumstances | undefined,
  answers: readonly Answer[],
): string {
  const sections = questions.map((question) => {
    const answer = answers.find((each) => each.question === question);
    const results =
      answer === undefined || circumstances === undefined
        ? resultsIn(page ?? '', question)
        : renderResults(circumstances, answer);
    return `## ${headingOf(question)}\n\n${listOf(question.method)}\n\n${startOf(question)}\n${results}\n${END}\n`;
  });
  return [HEAD, ...sections].join('\n');
}

const END = '<!-- end -->';

function startOf({ name }: Question): string {
  return `<!-- results of ${name} -->`;
}

function headingOf({ name, title }: Question): string {
  return `\`${name}\` ${title}`;
}

function resultsIn(page: string, question: Question): string {
  const [, after = ''] = page.split(`${startOf(question)}\n`);
  const end = after.indexOf(`\n${END}`);
  return end === -1 ? NOT_MEASURED : after.slice(0, end);
}

function renderResults(circumstances: Circumstances, { measurements, verdicts }: Answer): string {
  return [
    describeInOneLine(circumstances),
    '',
    renderTable(measurements),
    '',
    listOf([...verdicts.map(describeVerdict), ...measurements.notes]),
  ].join('\n');
}

function listOf(sentences: readonly string[]): string {
  return sentences.map((sentence) => `- ${sentence}`).join('\n');
}
