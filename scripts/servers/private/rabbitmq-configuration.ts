/** What a private RabbitMQ is told: pure texts, so that a test can read them. */

export interface RabbitMqPorts {
  readonly amqp: number;
  readonly management: number;
  readonly distribution: number;
  readonly epmd: number;
}

/** The certificate of a server and its key, both in PEM. */
export interface ServerCertificate {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** What a private RabbitMQ takes in one message, in bytes. */
const MAX_MESSAGE_BYTES = 16 * 2 ** 20;

export const enabledPlugins = '[rabbitmq_management].\n';

/**
 * Everything in Erlang terms and nothing in rabbitmq.conf: some of it has no name there, and one file is enough.
 *
 * The dead-letter worker retries a dead letter whose target was away after 15 s instead of 180 s; statistics and
 * quorum queues report every second, so that the monitor and the tests see what is there.
 *
 * @param clusterNodes the names of all nodes of its cluster, itself included; none for a node that stands alone
 * @param maxMessageBytes of a message's body
 * @param certificate both ports speak TLS, and there is no port without it
 */
export function renderAdvancedConfig(
  ports: RabbitMqPorts,
  clusterNodes: readonly string[] = [],
  maxMessageBytes: number = MAX_MESSAGE_BYTES,
  certificate?: ServerCertificate,
): string {
  const address = `{ip, "127.0.0.1"}, {port, ${ports.management}}`;
  return `[
  {rabbit, [
    ${renderAmqpListener(ports.amqp, certificate)},
    {max_message_size, ${maxMessageBytes}},
    {disk_free_limit, 52428800},
    {dead_letter_worker_publisher_confirm_timeout, 15000},
    {dead_letter_worker_consumer_prefetch, 512},
    {collect_statistics_interval, 1000},
    {quorum_tick_interval, 1000}${renderClusterConfig(clusterNodes)}
  ]},
  {rabbitmq_management, [${certificate === undefined ? `{tcp_config, [${address}]}` : `{ssl_config, [${address}, ${renderCertificate(certificate)}]}`}]},
  {kernel, [{inet_dist_use_interface, {127, 0, 0, 1}}]}
].
`;
}

function renderAmqpListener(port: number, certificate: ServerCertificate | undefined): string {
  const listener = `[{"127.0.0.1", ${port}}]`;
  if (certificate === undefined) return `{tcp_listeners, ${listener}}`;
  return `{tcp_listeners, []},
    {ssl_listeners, ${listener}},
    {ssl_options, [${renderCertificate(certificate)}, {verify, verify_none}, {versions, ['tlsv1.3', 'tlsv1.2']}]}`;
}

function renderCertificate({ certificateFile, keyFile }: ServerCertificate): string {
  return `{certfile, "${certificateFile}"}, {keyfile, "${keyFile}"}`;
}

/** As docs/cluster.md has it in rabbitmq.conf. */
function renderClusterConfig(nodes: readonly string[]): string {
  if (nodes.length === 0) return '';
  return `,
    {cluster_nodes, {[${nodes.map((node) => `'${node}'`).join(', ')}], disc}},
    {queue_leader_locator, <<"balanced">>}`;
}

/** The environment of the node and of its command-line tools; nothing of ours is inherited but PATH. */
export function brokerEnvironmentOf(
  folder: string,
  nodeName: string,
  ports: RabbitMqPorts,
  path: string,
): Record<string, string> {
  return {
    PATH: path,
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    HOME: `${folder}/home`,
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: nodeName,
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_MNESIA_BASE: `${folder}/data`,
    RABBITMQ_LOG_BASE: `${folder}/log`,
    RABBITMQ_LOGS: '-',
    RABBITMQ_CONFIG_FILE: `${folder}/rabbitmq.conf`,
    RABBITMQ_ADVANCED_CONFIG_FILE: `${folder}/advanced.config`,
    RABBITMQ_ENABLED_PLUGINS_FILE: `${folder}/enabled_plugins`,
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_PID_FILE: `${folder}/rabbitmq.pid`,
    ERL_CRASH_DUMP: `${folder}/erl_crash.dump`,
    // Two schedulers that sleep when idle: the machine belongs to the senders. Only the file schedulers wait a moment
    // before they sleep: waking them for each of 30,000 reads made the start 12 s instead of 6 s, and spinning a
    // little costs an idle broker nothing that could be measured (0.7 % of a core either way).
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio short',
    // Makes the start script become the Erlang process instead of staying beside it.
    RUNNING_UNDER_SYSTEMD: 'true',
  };
}
