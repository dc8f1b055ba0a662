import { expectThat } from '../faults/expect-that.ts';
import type { Check } from '../kit/run-checks.ts';
import { ALL, expectBalance, produceAndMeet, SENDERS } from './expectations.ts';
import type { Machine } from './machine.ts';

export function checksOfVersions(): readonly Check<Machine>[] {
  let first = '';
  return [
    {
      sentence: 'an update in the middle of a run rolls one sender after the other; nothing is lost',
      run: async (machine) => {
        first = await machine.versionOf(SENDERS[0]);
        await machine.run('echo "// The next version." >>/root/redial/sender/main.ts');
        // Building takes longer than a run.
        await machine.install('--no-start');
        expectThat((await machine.versionOf(SENDERS[0])) === first, 'the first sender was touched');
        await produceAndMeet(machine, 'updated');
        await machine.install();
        await expectRolled(machine);
        expectThat((await machine.versionOf(SENDERS[0])) !== first, 'it is the version before');
        await expectBalance(machine, 'updated', 2_000);
      },
    },
    {
      sentence: 'a version that does not start is told, and the other senders go on with the one before',
      run: async (machine) => {
        const before = await machine.versionOf(SENDERS[1]);
        await machine.run(`echo "throw new Error('broken by the test');" >/root/redial/sender/main.ts`);
        const { code, output } = await machine.tryInstall();
        expectThat(code === 1 && output.includes('broken by the test'), `it ended with ${code}:\n${output}`);
        expectThat(
          output.includes(`/opt/redial/${before}/deploy/systemd/install.sh`),
          `it does not say how to go back:\n${output}`,
        );
        expectThat((await machine.versionOf(SENDERS[1])) === before, 'the second sender was touched');
      },
    },
    {
      sentence: 'going back in the middle of a run is one command; nothing is lost',
      run: async (machine) => {
        await produceAndMeet(machine, 'back');
        await machine.run(`/opt/redial/${first}/deploy/systemd/install.sh`);
        for (const unit of ALL)
          expectThat((await machine.versionOf(unit)) === first, `${unit} is of another version`);
        await expectBalance(machine, 'back', 2_000);
      },
    },
    {
      sentence: '--uninstall keeps settings and secrets; with --purge nothing of Redial is left',
      run: async (machine) => {
        await machine.install('--uninstall');
        expectThat(!(await machine.areActive(SENDERS[0])), 'a sender runs');
        await machine.run('test -s /etc/redial/credentials/API_TOKEN && test -s /etc/redial/redial.env');
        await machine.install('--uninstall --purge');
        const left = await machine.run(
          `find / -xdev -path /proc -prune -o -path /root -prune -o -name '*redial*' -print; grep redial /etc/passwd /etc/group || true`,
        );
        expectThat(left === '', `left over:\n${left}`);
      },
    },
  ];
}

/** The second sender ended only when the first one was connected again. */
async function expectRolled(machine: Machine): Promise<void> {
  const upAgain = Number(await machine.show(SENDERS[0], 'ActiveEnterTimestampMonotonic'));
  const ended = Number(await machine.show(SENDERS[1], 'ActiveExitTimestampMonotonic'));
  expectThat(
    upAgain > 0 && upAgain < ended,
    `the first was up again at ${upAgain} µs, the second ended at ${ended} µs`,
  );
}
