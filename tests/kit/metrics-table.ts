/** The table of docs/metrics.md, made of what processes really serve. */

interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** Without the bucket of a histogram. */
  readonly labels: readonly string[];
}

const SECTIONS = [
  ['of the whole pipeline, from the snapshot: monitor and API', /^redial_(?!api_|sender_)/],
  ['of the HTTP API', /^redial_api_/],
  ['of one sender', /^redial_sender_/],
] as const;

/** @param scrapes the metrics of each process, as Prometheus reads them */
export function renderMetricsTable(scrapes: readonly string[]): string {
  const families = [...new Map(scrapes.flatMap(familiesOf).map((each) => [each.name, each])).values()];
  const rows = SECTIONS.flatMap(([title, names]) => [
    `| **${title}** | | |`,
    ...families.filter(({ name }) => names.test(name)).map(renderRow),
  ]);
  return ['| metric | type | meaning |', '|---|---|---|', ...rows, ''].join('\n');
}

function renderRow({ name, type, help, labels }: Family): string {
  return `| \`${name}${labels.length === 0 ? '' : `{${labels.join(', ')}}`}\` | ${type} | ${help} |`;
}

/** Those of Redial: what prom-client tells of every process is in its own documentation. */
function familiesOf(scrape: string): Family[] {
  return [...scrape.matchAll(/^# HELP (redial_\w+) (.*)\n# TYPE \w+ (\w+)$/gm)].map(
    ([, name = '', help = '', type = '']) => ({ name, type, help, labels: labelsOf(name, scrape) }),
  );
}

function labelsOf(name: string, scrape: string): string[] {
  const samples = scrape.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?\\{(.*)\\}`, 'gm'));
  const labels = [...samples].flatMap(([, text = '']) =>
    [...text.matchAll(/(\w+)="/g)].map(([, each = '']) => each),
  );
  return [...new Set(labels)].filter((each) => each !== 'le');
}
