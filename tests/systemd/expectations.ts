/** What several checks look at on a machine with two senders, monitor and API. */
import { expectThat } from '../faults/expect-that.ts';
import type { ServerAddresses } from '../kit/process/test-servers.ts';
import { waitUntil } from '../kit/wait-for.ts';
import type { Machine } from './machine.ts';

/** Where the private servers of a run are, and the ports of the services. */
export interface Surroundings {
  readonly addresses: ServerAddresses;
  readonly apiPort: number;
  readonly monitorPort: number;
}

export const SENDERS = ['redial-sender@1', 'redial-sender@2'] as const;
export const ALL = [...SENDERS, 'redial-monitor', 'redial-api'] as const;
export const TOKEN = 'a-token-that-nobody-may-see';
/** The main processes of all services. */
export async function pidsOf(machine: Machine): Promise<string> {
  return (await machine.run(`systemctl show --value -p MainPID ${ALL.join(' ')}`)).split(/\s+/).join(' ');
}

export async function produceAndMeet(machine: Machine, run: string): Promise<void> {
  await machine.produce(2_000, run);
  const { accepted, inProgress } = await machine.audit(run);
  expectThat(accepted === 2_000 && (inProgress ?? 0) > 0, 'the run was over before its middle was met');
}

export async function expectBalance(machine: Machine, run: string, count: number): Promise<void> {
  const isOver = ({ accepted, inProgress, missing }: Awaited<ReturnType<Machine['audit']>>) =>
    accepted === count && inProgress === 0 && missing === 0;
  const report = await waitUntil(
    'each SMS to have its outcome',
    () => machine.audit(run),
    isOver,
    180_000,
    1_000,
  );
  process.stdout.write(`        ${JSON.stringify(report)}\n`);
  expectThat(report.balanced, 'the books do not balance');
}
