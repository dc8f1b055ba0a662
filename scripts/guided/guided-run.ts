/** `npm start`: brings everything up, sends SMS through it, tells what became of them, stops what it started. */
import { isAbsolute, join, relative } from 'node:path';
import { createPaint } from '../../monitor/views/paint.ts';
import { startProgress } from '../../monitor/views/progress.ts';
import { areBooksBalanced } from '../../monitor/views/summary/books.ts';
import { renderRunSummary } from '../../monitor/views/summary/run-summary.ts';
import { formatCount } from '../../shared/domain/format-count.ts';
import type { Snapshot } from '../../shared/domain/snapshot.ts';
import { describeError } from '../../shared/errors.ts';
import { abortOf } from '../../shared/pipeline/waiting.ts';
import { type Config, loadConfig } from '../../shared/process/config/config.ts';
import { managementOf, rabbitmqUrlsOf } from '../../shared/process/config/rabbitmq.ts';
import { redisUrlOf } from '../../shared/process/config/redis.ts';
import { type Environment, findProjectFolder, readEnvironment } from '../../shared/process/environment.ts';
import { EXIT, exitCodeOf, runToExit } from '../../shared/process/exit-code.ts';
import { say, takesEscapes, writeData } from '../../shared/process/output.ts';
import { listenForShutdown } from '../../shared/process/shutdown.ts';
import { systemClock } from '../../shared/process/system-clock.ts';
import { findServers } from '../servers/find-servers.ts';
import { findFreePortLike } from '../servers/free-ports.ts';
import type { RunningServers } from '../servers/server-addresses.ts';
import { claimServersFile, type ServersFile } from '../servers-file.ts';
import { findOutcomeFile } from './find-outcome.ts';
import {
  drain,
  drainSenders,
  failOnEnd,
  type LocalProcess,
  LocalProcesses,
  waitForSuccess,
} from './processes.ts';
import { chooseSettings, type RunOptions, readRunOptions, sharedSettings } from './start-options.ts';
import { countWaitingSms } from './waiting-sms.ts';
import { waitForOutcomes } from './watch-run.ts';

/** What a standstill may take beyond the longest wait of the retry schedule. */
const standstillMs = 60_000;
/** What a sender may take to end beyond its own shutdown timeout. */
const drainGraceMs = 10_000;

/** Where the page listens, where the port is free and nobody sets another one. */
const PAGE_PORT = 9090;

/** Files with certificates belong to addresses that are used: those of servers that do not answer are not. */
const WITHOUT_CERTIFICATES = { RABBITMQ_CA_FILE: '', REDIS_CA_FILE: '' };

/** How a rehearsal ended; errors are thrown. */
type Ending = 'balanced' | 'unbalanced' | 'interrupted';

interface Rehearsal {
  readonly projectFolder: string;
  readonly options: RunOptions;
  readonly serversFile: ServersFile;
  readonly shutdown: AbortSignal;
  /** What was started, to be stopped in reverse. */
  readonly stops: (() => Promise<unknown>)[];
  /** What did not end as it should, a sentence each. */
  readonly complaints: string[];
}

interface Cast {
  readonly senders: readonly LocalProcess[];
  readonly api: LocalProcess;
  readonly monitor: LocalProcess;
  readonly producer: LocalProcess;
}

await runToExit(main);

async function main(): Promise<number> {
  const options = readRunOptions(process.argv.slice(2), new Date());
  if (options === undefined) return EXIT.done;
  const projectFolder = findProjectFolder();
  const serversFile = claimServersFile(projectFolder);
  const shutdown = listenForShutdown();
  const rehearsal: Rehearsal = { projectFolder, options, serversFile, shutdown, stops: [], complaints: [] };
  let exitCode: number;
  try {
    exitCode = exitCodeOfEnding(await rehearse(rehearsal), shutdown);
  } catch (error) {
    // What is torn down by a Ctrl-C while it starts is no news.
    exitCode = shutdown.aborted ? exitCodeOfEnding('interrupted', shutdown) : exitCodeOf(error);
    if (!shutdown.aborted) say(describeError(error));
  }
  await stopAll(rehearsal);
  return rehearsal.complaints.length > 0 && exitCode === EXIT.done ? EXIT.failed : exitCode;
}

/** Leaves early, after any step, when told to stop. */
async function rehearse(rehearsal: Rehearsal): Promise<Ending> {
  const { projectFolder, options, serversFile, shutdown, stops } = rehearsal;

  // 1. Servers.
  const servers = await findServers({ projectFolder, environment: process.env, say, shutdown });
  stops.push(() => servers.stop());
  if (shutdown.aborted) return 'interrupted';
  const addresses = Object.assign({}, ...Object.values(servers.addresses)) as Record<string, string>;
  const environment: Environment = {
    ...{ ...process.env, ...WITHOUT_CERTIFICATES, ...addresses },
    ...chooseSettings(process.env),
  };
  const config = loadConfig(readEnvironment(projectFolder, environment));
  const ports = {
    page: await findFreePortLike(config.monitorPort ?? PAGE_PORT),
    api: await findFreePortLike(config.apiPort),
  };
  serversFile.publish({ ...sharedSettings(process.env), ...addresses });
  say(`The page: http://127.0.0.1:${ports.page}`);
  say(describeServers(servers, config, ports.api));
  say(describeSettings(environment, options));
  const earlier = (await countWaitingSms(config)) ?? 0;
  if (earlier > 0) say(`${formatCount(earlier)} SMS of earlier runs wait in RabbitMQ and go first.`);
  stops.push(() => sayWhatIsLeft(config, servers));

  // 2. Senders, a monitor, and the SMS.
  const startedAtMs = Date.now();
  const cast = await startCast(rehearsal, environment, config, ports);
  if (shutdown.aborted) return 'interrupted';
  const snapshot = await watch(rehearsal, config, cast);
  if (snapshot === undefined) return 'interrupted';

  // 3. What became of them.
  const seconds = (Date.now() - startedAtMs) / 1_000;
  if (!options.keep) await drain(cast.monitor, drainGraceMs);
  await writeData(`\n${describeRun(rehearsal, servers, config, snapshot, seconds)}`, shutdown);
  if (options.keep) await keepRunning(shutdown, [...cast.senders, cast.api, cast.monitor]);
  return areBooksBalanced(snapshot) ? 'balanced' : 'unbalanced';
}

async function startCast(
  { projectFolder, options, stops, complaints }: Rehearsal,
  environment: Environment,
  config: Config,
  ports: { readonly page: number; readonly api: number },
): Promise<Cast> {
  const processes = new LocalProcesses(projectFolder, { ...environment });
  const senders: LocalProcess[] = [];
  stops.push(async () => {
    complaints.push(...(await drainSenders(senders, config.shutdownTimeout + drainGraceMs, say)));
  });
  for (let number = 1; number <= options.senders; number += 1)
    senders.push(await processes.startSender(number));
  const api = await processes.startApi(ports.api);
  stops.push(() => drain(api, drainGraceMs));
  const monitor = await processes.startMonitor(options.run, ports.page);
  stops.push(() => drain(monitor, drainGraceMs));
  const producer = await processes.startProducer(options.run, options.numMessages);
  stops.push(() => drain(producer, drainGraceMs));
  return { senders, api, monitor, producer };
}

/** Waits until every SMS has its outcome; undefined when told to stop. @throws RedialError when it cannot go on */
async function watch(
  { options, shutdown }: Rehearsal,
  config: Config,
  { senders, api, monitor, producer }: Cast,
): Promise<Snapshot | undefined> {
  const progress = startProgress(options.numMessages, {
    hasBar: takesEscapes(2),
    say,
    nowMs: systemClock.nowMs,
  });
  const outcomes = waitForOutcomes({
    monitor: monitor.kept.stdout ?? process.stdin,
    requested: options.numMessages,
    patienceMs: standstillMs + Math.max(0, ...config.retrySchedule) + config.meanProcessingTime,
    signal: shutdown,
    onSnapshot: (snapshot) => progress.show(snapshot),
  });
  try {
    return await Promise.race([
      Promise.all([outcomes, waitForSuccess(producer)]).then(([snapshot]) => snapshot),
      abortOf(shutdown).then(() => undefined),
      ...[...senders, api, monitor].map(failOnEnd),
    ]);
  } finally {
    progress.end();
  }
}

async function keepRunning(shutdown: AbortSignal, processes: readonly LocalProcess[]): Promise<void> {
  say(`Everything keeps running until Ctrl-C. In a second terminal, in this folder:
  npx monitor                        what is going on
  npx producer --num-messages 1000   more SMS
  npx sender                         one more sender, with the same settings
  npx monitor --audit                whether every SMS has its outcome`);
  for (const each of processes)
    failOnEnd(each).catch((error: unknown) => {
      if (!shutdown.aborted) say(describeError(error));
    });
  // The processes do not hold the event loop, and neither does waiting for a signal.
  const heldOpen = setInterval(() => {}, 60_000);
  await abortOf(shutdown);
  clearInterval(heldOpen);
}

/** Once no sender of ours runs any more. */
async function sayWhatIsLeft(config: Config, { origin }: RunningServers): Promise<void> {
  const left = (await countWaitingSms(config)) ?? 0;
  if (left > 0)
    say(`${formatCount(left)} SMS without an outcome wait in RabbitMQ (${origin}):
the next npm start sends them first, npm run reset forgets them.`);
}

async function stopAll({ stops, complaints, serversFile }: Rehearsal): Promise<void> {
  if (stops.length > 0) say('Stopping what was started …');
  for (const stop of stops.reverse())
    await stop().catch((error: unknown) => complaints.push(describeError(error)));
  serversFile.remove();
  for (const complaint of complaints) say(complaint);
}

function exitCodeOfEnding(ending: Ending, shutdown: AbortSignal): number {
  if (ending === 'interrupted') return EXIT.interrupted[shutdown.reason as keyof typeof EXIT.interrupted];
  return ending === 'balanced' ? EXIT.done : EXIT.failed;
}

function describeServers({ origin }: RunningServers, config: Config, apiPort: number): string {
  const withoutPassword = (url: string) => url.replace(/\/\/[^@/]*@/, '//');
  const management = managementOf(config);
  return [
    `Servers (${origin}):`,
    `  RabbitMQ UI  ${management.url}  (user ${management.user}${management.password === 'guest' ? ', password guest' : ''})`,
    `  AMQP         ${rabbitmqUrlsOf(config).map(withoutPassword).join(', ')}`,
    `  Redis        ${withoutPassword(redisUrlOf(config))}`,
    `  S3           ${config.awsEndpointUrl ?? 'AWS'}  (bucket ${config.s3Bucket})`,
    `  HTTP API     http://127.0.0.1:${apiPort}  (/docs to try it)`,
  ].join('\n');
}

function describeSettings(environment: Environment, { numMessages, senders, run }: RunOptions): string {
  const [mean, ...others] = Object.keys(chooseSettings({})).map((name) => `${name}=${environment[name]}`);
  const count = `${formatCount(numMessages)} SMS, ${senders} sender${senders === 1 ? '' : 's'}, run ${run}`;
  return `Settings: ${mean}
  ${others.join(' ')}
  (the environment overrides them: FAILURE_RATE=0.5 npm start)
Sending ${count}
  (flags override these: npm start -- --num-messages 5000 --senders 5)`;
}

function describeRun(
  { projectFolder, options }: Rehearsal,
  servers: RunningServers,
  config: Config,
  snapshot: Snapshot,
  seconds: number,
): string {
  const { s3Bucket, s3SuccessPrefix, s3FailedPrefix, s3ParkedPrefix } = config;
  const prefixes = [s3SuccessPrefix, s3FailedPrefix, s3ParkedPrefix];
  const bucketFolder = servers.objectsFolder && join(servers.objectsFolder, s3Bucket);
  const file = bucketFolder && findOutcomeFile(bucketFolder, prefixes, options.run);
  const folderLine = bucketFolder && `as files under ${fromHere(bucketFolder)}, which stay there`;
  return renderRunSummary(
    {
      snapshot,
      seconds,
      senders: options.senders,
      configured: config,
      places: [
        `bucket ${s3Bucket}, prefixes ${prefixes.map((prefix) => `${prefix}/`).join(', ')}`,
        ...(folderLine === undefined ? [] : [folderLine]),
        `logs of the senders under ${fromHere(join(projectFolder, '.redial', 'logs'))}`,
      ],
      showOneOutcome: file === undefined ? undefined : `head -n 1 ${quoteForShell(fromHere(file))}`,
    },
    createPaint(takesEscapes(1)),
  );
}

/** As the person would type it, who may have called npm from another folder. */
function fromHere(path: string): string {
  const short = relative(process.env.INIT_CWD ?? process.cwd(), path);
  return short.startsWith('..') || isAbsolute(short) ? path : short;
}

function quoteForShell(text: string): string {
  return /^[\w./=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
