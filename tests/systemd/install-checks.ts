import { expectThat } from '../faults/expect-that.ts';
import type { Check } from '../kit/run-checks.ts';
import { ALL, pidsOf, SENDERS, type Surroundings, TOKEN } from './expectations.ts';
import type { Machine } from './machine.ts';

// Slow enough for a run of 2,000 to last ten seconds, and be met in its middle.
const SETTINGS = [
  'MEAN_PROCESSING_TIME=0.3',
  'FAILURE_RATE=0.2',
  'RETRY_SCHEDULE=1s,2s,3s',
  'SENDER_CONCURRENCY=30',
];

export function checksOfInstalling(surroundings: Surroundings): readonly Check<Machine>[] {
  return [
    { sentence: 'a Debian machine with systemd boots', isBasis: true, run: (machine) => machine.boot() },
    {
      sentence: 'install.sh --no-start installs and enables two senders, monitor and API, and starts nothing',
      isBasis: true,
      run: async (machine) => {
        await machine.copyCheckout();
        await machine.install('--senders 2 --monitor --api --no-start');
        for (const unit of ALL) {
          expectThat(
            (await machine.run(`systemctl is-enabled ${unit}`)) === 'enabled',
            `${unit} is not enabled`,
          );
          expectThat(!(await machine.areActive(unit)), `${unit} runs`);
        }
      },
    },
    {
      sentence: 'a configuration that cannot work is told by install.sh, and is not tried again and again',
      run: async (machine) => {
        await machine.run(
          'cp /etc/redial/redial.env /root/redial.env && echo FAILURE_RATE=7 >>/etc/redial/redial.env',
        );
        const { code, output } = await machine.tryInstall();
        await machine.run('cp /root/redial.env /etc/redial/redial.env');
        expectThat(code === 1, `install.sh ended with ${code}`);
        expectThat(output.includes('FAILURE_RATE must be between 0 and 1, got "7"'), output);
        const state = await machine.show(SENDERS[0], 'SubState');
        expectThat(state === 'failed', `the sender is not left alone: ${state}`);
      },
    },
    {
      sentence: 'with settings and secrets in their files, install.sh starts all of it',
      isBasis: true,
      run: (machine) => configureAndStart(machine, surroundings),
    },
    {
      sentence: 'install.sh once more changes no file and restarts nothing',
      run: async (machine) => {
        const look = `find /etc/systemd/system /etc/redial /opt/redial/current /usr/local/bin/redial ! -type d -printf '%p %T@ %m %l\\n'`;
        const seen = async () => `${await machine.run(look)}\n${await pidsOf(machine)}`;
        const before = await seen();
        await machine.install('--senders 2 --monitor --api');
        const after = await seen();
        expectThat(after === before, `something has changed:\n${before}\nis now\n${after}`);
      },
    },
    {
      sentence: 'secrets are in no property, no command line, no log, and no other user can read them',
      run: (machine) => checkSecrets(machine, surroundings),
    },
  ];
}

async function configureAndStart(
  machine: Machine,
  { addresses, apiPort, monitorPort }: Surroundings,
): Promise<void> {
  const secrets = {
    RABBITMQ_URL: addresses.rabbitmqUrl,
    RABBITMQ_MANAGEMENT_URL: addresses.managementUrl,
    REDIS_URL: addresses.redisUrl,
    AWS_ACCESS_KEY_ID: addresses.s3AccessKeyId,
    AWS_SECRET_ACCESS_KEY: addresses.s3SecretAccessKey,
    API_TOKEN: TOKEN,
  };
  for (const [name, text] of Object.entries(secrets))
    await machine.write(`/etc/redial/credentials/${name}`, text);
  const settings = [
    `AWS_ENDPOINT_URL=${addresses.s3Endpoint}`,
    `API_PORT=${apiPort}`,
    `MONITOR_PORT=${monitorPort}`,
    ...SETTINGS,
  ];
  await machine.run(`printf '%s\\n' ${settings.join(' ')} >>/etc/redial/redial.env`);
  await machine.install('--senders 2 --monitor --api');
  expectThat(await machine.areActive(...ALL), 'not all of it runs');
}

async function checkSecrets(machine: Machine, { addresses }: Surroundings): Promise<void> {
  // Not as arguments: the command line of the search is one of those that are looked at.
  await machine.write('/root/secrets', `${TOKEN}\n${addresses.rabbitmqUrl}\n`);
  await machine.run(
    "(systemctl show '*'; journalctl -o cat; cat /proc/[0-9]*/cmdline | tr '\\0' ' ') >/root/seen",
  );
  const found = await machine.run('grep -c -F -f /root/secrets /root/seen || true');
  await machine.run('rm /root/seen /root/secrets');
  expectThat(found === '0', `a secret is in ${found} lines`);
  const files =
    '/etc/redial/redial.env /etc/redial/credentials/API_TOKEN /run/credentials/redial-api.service/API_TOKEN /proc/$(systemctl show --value -p MainPID redial-api)/environ';
  const { output } = await machine.try(
    `setpriv --reuid=nobody --regid=nogroup --clear-groups cat ${files} | wc -c`,
  );
  expectThat(
    /^0$/m.test(output) && output.match(/Permission denied/g)?.length === 4,
    `nobody reads: ${output}`,
  );
}
