import { expectThat } from '../faults/expect-that.ts';
import type { Check } from '../kit/run-checks.ts';
import { waitFor, waitUntil } from '../kit/wait-for.ts';
import {
  ALL,
  expectBalance,
  pidsOf,
  produceAndMeet,
  SENDERS,
  type Surroundings,
  TOKEN,
} from './expectations.ts';
import type { Machine } from './machine.ts';

export function checksOfRunning(surroundings: Surroundings): readonly Check<Machine>[] {
  return [
    {
      sentence: '1,000 SMS: the books balance; page and API answer',
      run: (machine) => checkCalmRun(machine, surroundings),
    },
    {
      sentence: 'a sender that is killed in the middle of a run comes back; nothing is lost',
      run: async (machine) => {
        await produceAndMeet(machine, 'killed');
        await machine.run(`systemctl kill --signal=KILL ${SENDERS[0]}`);
        await waitFor(
          'the sender to be back',
          async () => (await machine.show(SENDERS[0], 'NRestarts')) === '1' && machine.areActive(SENDERS[0]),
          60_000,
        );
        await expectBalance(machine, 'killed', 2_000);
      },
    },
    {
      sentence:
        'systemctl stop drains in the middle of a run: exit 0, said in the journal, nothing unacknowledged',
      run: (machine) => checkDrain(machine, surroundings),
    },
    {
      sentence: 'a reboot in the middle of a run brings all back; nothing is lost',
      run: async (machine) => {
        await produceAndMeet(machine, 'rebooted');
        await machine.reboot();
        await waitFor('all services to be back', () => machine.areActive(...ALL), 120_000);
        await expectBalance(machine, 'rebooted', 2_000);
      },
    },
    {
      sentence: 'a changed setting reaches every service: install.sh restarts what has not seen it',
      run: async (machine) => {
        await machine.run('echo QUEUE_SHARDS=2 >>/etc/redial/redial.env');
        const before = await pidsOf(machine);
        await machine.install();
        const after = await pidsOf(machine);
        expectThat(
          before.split(' ').every((pid) => !after.split(' ').includes(pid)),
          `pids ${before}, then ${after}`,
        );
      },
    },
    {
      sentence: 'install.sh --senders 3 adds one, --senders 2 lets it drain',
      run: async (machine) => {
        const before = await pidsOf(machine);
        await machine.install('--senders 3');
        expectThat(await machine.areActive('redial-sender@3'), 'there is no third sender');
        await machine.install('--senders 2');
        expectThat(!(await machine.areActive('redial-sender@3')), 'the third sender runs');
        expectThat((await machine.show('redial-sender@3', 'Result')) === 'success', 'it did not drain');
        expectThat((await pidsOf(machine)) === before, 'others were restarted');
      },
    },
  ];
}

async function checkCalmRun(machine: Machine, { apiPort, monitorPort }: Surroundings): Promise<void> {
  await machine.produce(1_000, 'calm');
  await expectBalance(machine, 'calm', 1_000);
  const page = await fetch(`http://127.0.0.1:${monitorPort}/snapshot`);
  expectThat(page.ok, `the page answered ${page.status}`);
  const headers = { authorization: `Bearer ${TOKEN}` };
  const health = await fetch(`http://127.0.0.1:${apiPort}/health`, { headers });
  expectThat(health.ok, `the API answered ${health.status}: ${await health.text()}`);
}

async function checkDrain(machine: Machine, { addresses }: Surroundings): Promise<void> {
  await produceAndMeet(machine, 'stopped');
  await machine.run('systemctl stop redial-senders.target');
  for (const sender of SENDERS) {
    expectThat((await machine.show(sender, 'ExecMainStatus')) === '0', `${sender} did not end with 0`);
    expectThat((await machine.show(sender, 'Result')) === 'success', `${sender} did not end well`);
    // The journal writes a little later.
    const isTold = async () =>
      (await machine.run(`journalctl -o cat -u ${sender} -n 5`)).includes('"msg":"drained"');
    await waitFor(`${sender} to have said that it drained`, isTold, 10_000);
  }
  const nothing = 'RabbitMQ to count nothing unacknowledged';
  await waitUntil(
    nothing,
    () => countUnacknowledged(addresses.managementUrl),
    (count) => count === 0,
    15_000,
  );
  await machine.run('systemctl start redial-senders.target');
  await expectBalance(machine, 'stopped', 2_000);
}

async function countUnacknowledged(managementUrl: string): Promise<number> {
  const authorization = `Basic ${Buffer.from('guest:guest').toString('base64')}`;
  const queues = (await (
    await fetch(`${managementUrl}/api/queues`, { headers: { authorization } })
  ).json()) as {
    readonly messages_unacknowledged?: number;
  }[];
  return queues.reduce((sum, queue) => sum + (queue.messages_unacknowledged ?? 0), 0);
}
