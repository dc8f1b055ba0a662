import { expectThat } from '../faults/expect-that.ts';
import { waitUntil } from '../kit/wait-for.ts';
import { type ComposeProject, docker } from './compose-project.ts';

interface Snapshot {
  readonly accepted: number;
  readonly sent: number;
  readonly failed: number;
  readonly parked: number;
  readonly inProgress: number;
}

interface Target {
  readonly labels: { readonly job: string };
  readonly health: string;
  readonly lastError: string;
}

const PATIENCE_MS = 120_000;

/** An SMS over HTTP has a story that ends; the health check of the container says what the API says. */
export async function checkApi(project: ComposeProject): Promise<void> {
  const id = 'over-compose-1';
  const answer = await fetch(project.url('API_PORT_HOST', '/messages'), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id, to: '+15550100123', text: 'over Compose' }),
  });
  expectThat(answer.status === 202, `POST /messages answers ${answer.status}: ${await answer.text()}`);
  const ended = new Set(['sent', 'failed']);
  await waitUntil(
    'the SMS of the API to have its outcome',
    async () => (await bodyOf(project.url('API_PORT_HOST', `/messages/${id}`))) as { state: string },
    ({ state }) => ended.has(state),
    PATIENCE_MS,
    1_000,
  );
  const [container = ''] = await project.containersOf('api');
  await docker('pause', (await project.containersOf('rabbitmq'))[0] ?? '');
  try {
    await untilHealth(container, 'unhealthy');
  } finally {
    await docker('unpause', (await project.containersOf('rabbitmq'))[0] ?? '');
  }
  await untilHealth(container, 'healthy');
}

/** The page is there, and it, the API and the audit tell the same numbers. */
export async function checkPage(project: ComposeProject): Promise<void> {
  const page = await fetch(project.url('MONITOR_PORT_HOST', '/'));
  expectThat(page.ok && (await page.text()).includes('<title>'), `the page answers ${page.status}`);
  const booksOf = ({ accepted, sent, failed, parked, inProgress }: Snapshot) =>
    JSON.stringify({ accepted, sent, failed, parked, inProgress });
  const read = async () => {
    const shown = booksOf((await bodyOf(project.url('MONITOR_PORT_HOST', '/snapshot'))) as Snapshot);
    const told = booksOf((await bodyOf(project.url('API_PORT_HOST', '/stats'))) as Snapshot);
    return { shown, told };
  };
  const isSame = ({ shown, told }: { shown: string; told: string }) => shown === told;
  const { shown } = await waitUntil('monitor and API to tell the same', read, isSame, PATIENCE_MS, 1_000);
  process.stdout.write(`        ${shown}\n`);
  expectThat(JSON.parse(shown).inProgress === 0, 'the page shows SMS in progress');
}

/** The profile `observability`: Prometheus finds monitor, API and each sender. */
export async function checkPrometheus(project: ComposeProject): Promise<void> {
  await project.upFromProfile('observability', 'prometheus');
  const targets = await waitUntil(
    'Prometheus to have scraped monitor, API and five senders',
    async () => {
      const answer = await bodyOf(project.url('PROMETHEUS_PORT_HOST', '/api/v1/targets?state=active'));
      return (answer as { data: { activeTargets: Target[] } } | undefined)?.data.activeTargets ?? [];
    },
    (seen) => seen.length === 7 && seen.every(({ health }) => health === 'up'),
    PATIENCE_MS,
    2_000,
  );
  process.stdout.write(`        ${targets.map(({ labels }) => labels.job).join(', ')}\n`);
}

/** The same profile: Grafana has the dashboard. */
export async function checkGrafana(project: ComposeProject): Promise<void> {
  await project.upFromProfile('observability', 'grafana');
  await waitUntil(
    'Grafana to have the dashboard',
    () => bodyOf(project.url('GRAFANA_PORT_HOST', '/api/search?query=Redial')),
    (found) => Array.isArray(found) && found.length > 0,
    PATIENCE_MS,
    2_000,
  );
}

/** Undefined where nothing answers yet. */
async function bodyOf(url: string): Promise<unknown> {
  try {
    return await (await fetch(url)).json();
  } catch {
    return undefined;
  }
}

async function untilHealth(container: string, wanted: 'healthy' | 'unhealthy'): Promise<void> {
  await waitUntil(
    `the API's container to be ${wanted}`,
    async () => (await docker('inspect', '-f', '{{.State.Health.Status}}', container)).trim(),
    (status) => status === wanted,
    PATIENCE_MS,
    1_000,
  );
}
