import { findProjectFolder } from '../../shared/process/environment.ts';
import { expectThat } from '../faults/expect-that.ts';
import type { Check } from '../kit/run-checks.ts';
import { waitFor, waitUntil } from '../kit/wait-for.ts';
import type { Instance } from './instance.ts';
import { ARCHIVE, GIT_URL, Source, TAG } from './source.ts';
import { BUCKET, factsOf, RELEASES, referencesOf, type Said, userDataOf } from './stack-facts.ts';
import { agentConfigOf, readTemplate, senderFilterOf } from './template.ts';

const projectFolder = findProjectFolder();
const template = readTemplate();
const FIRST: Said = { SourceUrl: GIT_URL, SourceVersion: TAG };
const SERVICES = 'redial-sender@1 redial-sender@2 redial-monitor redial-api rabbitmq-server valkey';

const PROMISES: readonly (readonly [sentence: string, run: (instance: Instance) => Promise<void>])[] = [
  ['the machine builds and starts', start],
  ['user data that does not find its version ends, and tells CloudFormation so', failUserData],
  ['the user data of the template ends well and tells CloudFormation so', runUserData],
  ['servers, senders, monitor and API run, and none of them listens beyond this machine', expectRunning],
  ['1,000 SMS are sent and their books balance', (instance) => send(instance, 'first')],
  ['AWS was asked with the credentials of the role alone, and for nothing it refuses', checkRequests],
  ['secrets are readable by root alone, and no AWS key is on the machine', checkSecrets],
  ['the log that CloudWatch is given tells that two senders live', checkWatching],
  ['what a person sets in redial.env counts, and redial-setup keeps it', setSchedule],
  ['redial-setup once more changes nothing and restarts nothing', repeat],
  ['an archive with another SHA-256 is refused, and everything runs on', refuseArchive],
  ['an update from S3 rolls the senders, and the books balance after it', update],
  ['the version before comes back with the settings before', goBack],
  ['after a restart of the machine everything runs again, and the books balance', restart],
  ['ApiRange opens the API to others, who need a token', openApi],
  ['where RabbitMQ is another one, its address comes from SSM and the senders say so', moveAway],
];

/** Each goes on where the one before ended, so the first that fails is the last. */
export const CHECKS: readonly Check<Instance>[] = PROMISES.map(([sentence, run]) => ({
  sentence,
  run,
  isBasis: true,
}));

async function start(instance: Instance): Promise<void> {
  await new Source(projectFolder, instance.factsFolder).publish();
  say(instance, FIRST);
  await instance.build();
  await instance.boot();
  await instance.run(`git config --system url.file:///stand-in/facts/redial.git.insteadOf ${GIT_URL}`);
  await instance.run(`git config --system safe.directory '*'`);
}

function say(instance: Instance, said: Said, secrets: Readonly<Record<string, string>> = {}): void {
  instance.tellFacts(factsOf(template, referencesOf(template, said), secrets));
}

async function failUserData(instance: Instance): Promise<void> {
  const said = { ...FIRST, SourceVersion: 'v0.0.0' };
  say(instance, said);
  const { code, output } = await instance.runUserData(userDataOf(template, referencesOf(template, said)));
  expectThat(code !== 0 && output.includes('the lines above say why'), output);
  const log = await instance.run('tail -n 1 /var/log/stand-in.log');
  expectThat(/cfn-signal --exit-code [1-9]/.test(log), `CloudFormation was told: ${log}`);
  say(instance, FIRST);
}

async function runUserData(instance: Instance): Promise<void> {
  const { code, output } = await instance.runUserData(userDataOf(template, referencesOf(template, FIRST)));
  process.stdout.write(`        ${output.trim().replaceAll('\n', '\n        ')}\n`);
  expectThat(code === 0, `it ended with ${code}`);
  const log = await instance.run('cat /var/log/stand-in.log');
  expectThat(
    log.includes('cfn-signal --exit-code 0 --stack redial-test --resource Instance --region eu-central-1'),
    `CloudFormation was told: ${log}`,
  );
  expectThat(
    log.includes('amazon-cloudwatch-agent-ctl -a fetch-config'),
    'the CloudWatch agent was not started',
  );
}

async function expectRunning(instance: Instance): Promise<void> {
  await instance.run(`systemctl is-active ${SERVICES}`);
  const listening = await instance.run("ss -Hltn | awk '{ print $4 }'");
  const open = listening
    .split('\n')
    .filter(
      (address) => !/^(127\.0\.0\.1|\[::1\]|169\.254\.169\.254|\[::ffff:127\.0\.0\.1\]):/.test(address),
    );
  expectThat(open.length === 0, `these listen beyond the machine: ${open.join(', ')}`);
}

async function send(instance: Instance, run: string): Promise<void> {
  const produced = await instance.redial(`producer --num-messages 1000 --run ${run} --no-progress`);
  expectThat(produced.code === 0, produced.output);
  const isOver = ({ code, output }: { code: number | null; output: string }) =>
    code === 0 && /"inProgress":0\b/.test(output) && /"missing":0\b/.test(output);
  const audit = () => instance.redial(`monitor --audit --json --run ${run}`);
  const { output } = await waitUntil('the books to balance', audit, isOver, 240_000, 2_000);
  process.stdout.write(`        ${output.trim().split('\n').at(-1)}\n`);
}

async function checkRequests(instance: Instance): Promise<void> {
  const requests = await instance.requests();
  const errors = requests.filter(({ error }) => error !== undefined);
  expectThat(errors.length === 0, `the stand-in failed: ${JSON.stringify(errors[0])}`);
  const unsigned = requests.filter(({ service, status }) => service === 'metadata' && status === 401);
  expectThat(unsigned.length === 0, 'the metadata service was asked without a token');
  const ofAws = requests.filter(({ service }) => service !== 'metadata');
  const refused = ofAws.filter(({ isAllowed }) => isAllowed !== true);
  expectThat(refused.length === 0, `refused: ${JSON.stringify(refused.slice(0, 3))}`);
  const puts = ofAws.filter(({ action }) => action === 's3:PutObject');
  expectThat(puts.length > 0, 'nothing was put');
  const bytes = await instance.run(
    `find /var/lib/stand-in-s3/${BUCKET} -name '*_object' -printf '%s\\n' | awk '{ sum += $1 } END { print sum }'`,
  );
  process.stdout.write(`        ${puts.length} puts, ${bytes} bytes in S3 for 1,000 SMS\n`);
}

async function checkSecrets(instance: Instance): Promise<void> {
  const modes = await instance.run('stat -c "%a %U" /etc/redial/credentials /etc/redial/credentials/*');
  expectThat(/^700 root(\n600 root)+$/.test(modes), `the secrets have these modes: ${modes}`);
  const keys = await instance.try('grep -rIl stand-in-secret /etc /opt/redial /var/log /var/lib/cloud');
  expectThat(keys.output.trim() === '', `the key of the role is in ${keys.output}`);
  const password = await instance.run('cat /etc/redial/credentials/RABBITMQ_PASSWORD');
  const shown = await instance.run(
    'ps axeww; systemctl show "redial-*"; cat /var/log/stand-in.log; journalctl --no-pager',
  );
  expectThat(password.length === 48 && !shown.includes(password), 'the password of RabbitMQ can be seen');
  expectThat(
    (await instance.run('rabbitmqctl -q --no-table-headers list_users | cut -f1')).split('\n').join() ===
      'redial',
    'there are other users',
  );
}

/** A line of the log that the metric filter of the template takes, and the number that it reads there. */
async function checkWatching(instance: Instance): Promise<void> {
  const { filterPattern, metricValue } = senderFilterOf(template);
  expectThat(
    filterPattern === '{ $.msg = "snapshot" && $.state != "stale" && $.senders >= 0 }' &&
      metricValue === '$.senders',
    `the filter is ${filterPattern} and reads ${metricValue}`,
  );
  const config = agentConfigOf(await instance.run('cat /opt/aws/amazon-cloudwatch-agent/etc/redial.json'));
  expectThat(
    config.groups.every((group) => group === '/redial/redial-test'),
    `logs go to ${config.groups.join(', ')}`,
  );
  const isTold = async () => (await instance.try(`cat ${config.paths.join(' ')}`)).code === 0;
  await waitFor('the logs to be where the agent reads them', isTold, 10_000);
  const lines = (await instance.run('cat /var/log/redial/redial.log')).split('\n');
  const snapshots = lines
    .map((line) => JSON.parse(line))
    .filter(({ msg, state }) => msg === 'snapshot' && state !== 'stale');
  expectThat(snapshots.at(-1)?.senders === 2, `the last snapshot is ${JSON.stringify(snapshots.at(-1))}`);
}

/** Short waits, which the runs that follow are glad of. */
async function setSchedule(instance: Instance): Promise<void> {
  const before = await stateOf(instance);
  await instance.run("sed -i 's/^# RETRY_SCHEDULE=.*/RETRY_SCHEDULE=1s,2s,3s/' /etc/redial/redial.env");
  await instance.run('redial-setup');
  expectThat((await stateOf(instance)) !== before, 'the senders were not restarted');
  const log = await instance.run(
    'journalctl --no-pager -o cat -u redial-sender@1 | grep retrySchedule | tail -n 1',
  );
  expectThat(log.includes('1s,2s,3s') || log.includes('"1s","2s","3s"'), `the sender says ${log}`);
}

async function repeat(instance: Instance): Promise<void> {
  const before = await stateOf(instance);
  const output = await instance.run('redial-setup');
  expectThat((await stateOf(instance)) === before, `it changed something: ${output}`);
}

/** Processes of the services, and all that redial-setup writes. */
async function stateOf(instance: Instance): Promise<string> {
  const processes = await instance.run(`systemctl show -p MainPID --value ${SERVICES}`);
  const files = await instance.run(
    'find /etc/redial /etc/rabbitmq /etc/valkey /etc/systemd/system /opt/redial -maxdepth 2 -type f -printf "%p %T@ %m\\n" | sort',
  );
  return `${processes}\n${files}`;
}

async function refuseArchive(instance: Instance): Promise<void> {
  await new Source(projectFolder, instance.factsFolder).publishNext();
  const before = await stateOf(instance);
  say(instance, { SourceUrl: `s3://${RELEASES}/${ARCHIVE}`, SourceVersion: '0'.repeat(64) });
  const { code, output } = await instance.try('redial-setup');
  expectThat(code === 1 && output.includes('has another SHA-256 than the stack says'), output);
  expectThat((await stateOf(instance)) === before, 'it changed something');
}

async function update(instance: Instance): Promise<void> {
  const before = await versionOf(instance);
  const hash = await new Source(projectFolder, instance.factsFolder).publishNext();
  say(instance, { SourceUrl: `s3://${RELEASES}/${ARCHIVE}`, SourceVersion: hash, Senders: '3' });
  await instance.run('redial-setup');
  expectThat((await versionOf(instance)) !== before, 'the senders run the version before');
  await instance.run('systemctl is-active redial-sender@3');
  await send(instance, 'second');
}

/** The folder of the version that the first sender runs. */
function versionOf(instance: Instance): Promise<string> {
  return instance.run('readlink /proc/$(systemctl show -p MainPID --value redial-sender@1)/cwd');
}

async function goBack(instance: Instance): Promise<void> {
  const newer = await versionOf(instance);
  say(instance, FIRST);
  await instance.run('redial-setup');
  expectThat((await versionOf(instance)) !== newer, 'the senders run the newer version');
  expectThat((await instance.try('systemctl is-active redial-sender@3')).code !== 0, 'a third sender runs');
}

async function restart(instance: Instance): Promise<void> {
  await instance.reboot();
  const isUp = async () => (await instance.try(`systemctl is-active ${SERVICES}`)).code === 0;
  await waitFor('all services to run', isUp, 120_000, undefined, 1_000);
  await send(instance, 'third');
}

async function openApi(instance: Instance): Promise<void> {
  say(instance, { ...FIRST, ApiRange: '10.0.0.0/8' });
  await instance.run('redial-setup');
  const ask = 'curl -s -o /dev/null -w "%{http_code}" http://127.0.0.1:8080/stats';
  const token = '-H "Authorization: Bearer $(cat /etc/redial/credentials/API_TOKEN)"';
  expectThat(
    (await instance.run("ss -Hltn 'sport = :8080'")).includes('0.0.0.0:8080'),
    'the API does not listen to others',
  );
  const statuses = `${await instance.run(ask)} ${await instance.run(`${ask} ${token}`)}`;
  expectThat(statuses === '401 200', `without a token and with one: ${statuses}`);
  say(instance, FIRST);
  await instance.run('redial-setup');
  expectThat(
    (await instance.run("ss -Hltn 'sport = :8080'")).includes('127.0.0.1:8080'),
    'the API listens on',
  );
}

async function moveAway(instance: Instance): Promise<void> {
  const password = await instance.run('cat /etc/redial/credentials/RABBITMQ_PASSWORD');
  const url = `amqp://redial:${password}@127.0.0.1:5672`;
  say(instance, { ...FIRST, RabbitMq: 'address' }, { '/redial/redial-test/rabbitmq-url': url });
  await instance.run('redial-setup');
  expectThat(
    (await instance.run('cat /etc/redial/credentials/RABBITMQ_URL')) === url,
    'the address is not used',
  );
  await send(instance, 'fourth');
}
