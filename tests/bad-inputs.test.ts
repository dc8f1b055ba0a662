/** Every bad input on the command line and in the environment, to the real commands as they are built. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';

const servers = inject('servers');
const project = join(import.meta.dirname, '..');
// A checkout of our own, built and without a .env that would fill in what a test leaves out.
const checkout = mkdtempSync(join(tmpdir(), 'redial-bad-inputs-'));
const secret = 'never-print-this';

type Command = 'producer' | 'sender' | 'monitor';

interface Ending {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

const file = (name: string, content: string | Buffer) => {
  const path = join(checkout, name);
  writeFileSync(path, content);
  return path;
};

beforeAll(() => {
  execFileSync(process.execPath, [join(project, 'scripts/commands/build.js')], { stdio: 'pipe' });
  for (const folder of ['dist', 'scripts/commands'])
    cpSync(join(project, folder), join(checkout, folder), { recursive: true });
  cpSync(join(project, 'package.json'), join(checkout, 'package.json'));
  symlinkSync(join(project, 'node_modules'), join(checkout, 'node_modules'));
  for (const folder of ['a-folder', '.redial']) mkdirSync(join(checkout, folder));
});
afterAll(() => rmSync(checkout, { recursive: true, force: true }));

/** Runs a command to its end, with nothing in its environment but this. */
function run(
  command: Command,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<Ending> {
  const startedAtMs = Date.now();
  const child = spawn(process.execPath, [join(checkout, 'scripts/commands', `${command}.js`), ...args], {
    cwd: checkout,
    env: {
      PATH: process.env.PATH ?? '',
      HOME: checkout,
      AWS_EC2_METADATA_DISABLED: 'true',
      QUEUE_NAME: `bad-inputs-${process.pid}`,
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  const ending = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      ending[name] += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) =>
      resolve({ ...ending, exitCode, seconds: (Date.now() - startedAtMs) / 1_000 }),
    );
  });
}

/** It said so in a sentence on stderr, without waiting for a deadline (25 s and more), and printed neither a stack trace nor a password. */
function expectRefusal(
  ending: Ending,
  exitCode: number,
  sentences: readonly (string | RegExp)[],
  withinSeconds = 24,
) {
  expect({ exitCode: ending.exitCode, stderr: ending.stderr }).toEqual({ exitCode, stderr: ending.stderr });
  for (const sentence of sentences) {
    if (typeof sentence === 'string') expect(ending.stderr).toContain(sentence);
    else expect(ending.stderr).toMatch(sentence);
  }
  expect(ending.stdout + ending.stderr).not.toMatch(new RegExp(`\\n +at |${secret}`));
  expect(ending.seconds).toBeLessThan(withinSeconds);
}

const COUNT = 'must be a whole number from 1 to 999999999999';
const RUN_NAME = '1 to 64 letters, digits, dots, underscores or hyphens, and not . or ..';
const CONCURRENCY = 'must be a whole number from 1 to 60000';
const NO_TIME = 'is not a time (write 2026-12-01T09:00:00+01:00, or a duration from now such as 10m)';
const NO_DURATION = 'is not a duration (write 30s, 5m, 12h or 1d)';
const HELP = (command: Command) => `(see ${command} --help)`;

/** Exit 2: command, arguments, what is said. The configuration is broken as well, and not judged. */
const WRONG_USAGE: readonly (readonly [Command, readonly string[], string | RegExp])[] = [
  ...['many', '-1', '0', '1.5', '1e3', '9007199254740993', '1000000000000', ''].map(
    (text) => ['producer', ['--num-messages', text], `--num-messages ${COUNT}, got "${text}"`] as const,
  ),
  ...['0', '-1', 'fast', '1e3'].map(
    (text) =>
      [
        'producer',
        ['--rate', text],
        `--rate must be a number above 0, at most 1000000, got "${text}"`,
      ] as const,
  ),
  ...['a/b', '.', '..'].map(
    (text) => ['producer', ['--run', text], `--run must be ${RUN_NAME}, got "${text}"`] as const,
  ),
  ['producer', ['--file', ''], '--file must be a path or -, got ""'],
  [
    'producer',
    ['--num-mesages', '5'],
    /^producer: unknown option '--num-mesages'\s+\(Did you mean --num-messages\?\)/,
  ],
  ['producer', ['--num-messages'], `option '--num-messages <count>' argument missing ${HELP('producer')}`],
  ...['1000', 'requeue'].map(
    (text) =>
      [
        'producer',
        [text],
        `producer: unknown command '${text}' (there is serve, requeue-overdue, redrive, cancel, retry-now) ${HELP('producer')}`,
      ] as const,
  ),
  [
    'producer',
    ['--requeue-overdue'],
    `producer: unknown option '--requeue-overdue' (it is a command: producer requeue-overdue) ${HELP('producer')}`,
  ],
  ...[
    ['--rate', '5'],
    ['--num-messages', 'x'],
  ].map(
    (flags) =>
      [
        'producer',
        [...flags, 'requeue-overdue'],
        `producer: ${flags[0]} must not stand before requeue-overdue: the options of a command follow its name`,
      ] as const,
  ),
  ...['--file'].map(
    (flag) =>
      [
        'producer',
        ['requeue-overdue', flag, '5'],
        `producer requeue-overdue: unknown option '${flag}' (see producer requeue-overdue --help)`,
      ] as const,
  ),
  [
    'producer',
    ['requeue-overdue', 'demo-000001'],
    /^producer requeue-overdue: too many arguments for 'requeue-overdue'/,
  ],
  ['producer', ['--num-messages', '0', '--rate', '0'], /--num-messages must.*\n--rate must/],
  ...['', 'tomorrow', '2026-12-01', '1796115600000'].map(
    (text) => ['producer', ['--send-at', text], `--send-at: "${text}" ${NO_TIME}`] as const,
  ),
  ...['2026-12-01T09:00:00'].map(
    (text) =>
      [
        'producer',
        ['--send-at', text],
        `--send-at: "${text}" has no offset from UTC (write Z or an offset such as +01:00 at its end)`,
      ] as const,
  ),
  ...[...['2027-02-29T09:00:00Z', '2026-12-01T25:00:00Z']].map(
    (text) =>
      [
        'producer',
        ['--send-at', text],
        `--send-at: "${text}" names a date or a time of day that does not exist`,
      ] as const,
  ),
  ...['367d', '9999-12-31T23:59:59Z'].map(
    (text) => ['producer', ['--send-at', text], `--send-at: "${text}" is more than 366 days ahead`] as const,
  ),
  ...['', 'urgent', 'HIGH'].map(
    (text) => ['producer', ['--priority', text], `--priority: "${text}" is not high, normal or low`] as const,
  ),
  ...['60', '1.5h'].map(
    (text) => ['producer', ['--valid-for', text], `--valid-for: "${text}" ${NO_DURATION}`] as const,
  ),
  ...['1999ms'].map(
    (text) =>
      ['producer', ['--valid-for', text], `--valid-for: "${text}" is too short (at least 2s)`] as const,
  ),
  ['producer', ['--valid-for', '366d'], '--valid-for: "366d" is too long (at most a year, 8760h)'],
  ['producer', ['--send-at'], `option '--send-at <time>' argument missing ${HELP('producer')}`],
  [
    'producer',
    ['--rate', '0', '--send-at', 'x', '--priority', 'x', '--valid-for', 'x'],
    /--rate must.*\n--send-at: "x" is.*\n--priority: "x" is.*\n--valid-for: "x" is/,
  ],
  ['producer', ['--sent-at', '10m'], /^producer: unknown option '--sent-at'\s+\(Did you mean --send-at\?\)/],
  ...['--send-at'].map(
    (flag) =>
      [
        'producer',
        ['requeue-overdue', flag, '10m'],
        `producer requeue-overdue: unknown option '${flag}' (see producer requeue-overdue --help)`,
      ] as const,
  ),
  ...['x', '-1', '0', '1.5', '1e3', '9007199254740993'].map(
    (text) => ['sender', ['--concurrency', text], `--concurrency ${CONCURRENCY}, got "${text}"`] as const,
  ),
  ...['1.1', '50%', '-0.1', 'half'].map(
    (text) =>
      ['sender', ['--failure-rate', text], `--failure-rate must be between 0 and 1, got "${text}"`] as const,
  ),
  ...['-1', '121', '1s'].map(
    (text) =>
      [
        'sender',
        ['--mean-processing-time', text],
        `--mean-processing-time must be a number of seconds between 0 and 120, got "${text}"`,
      ] as const,
  ),
  [
    'sender',
    ['--seed', '9007199254740992'],
    '--seed must be a whole number of at least 0, got "9007199254740992"',
  ],
  ['sender', ['--retry-schedule', ''], '--retry-schedule: is empty (write waits such as 5s,30s,2m)'],
  ['sender', ['--retry-schedule', '10s,,1m'], '--retry-schedule: has an empty wait between two commas'],
  [
    'sender',
    ['--retry-schedule', '5x'],
    '--retry-schedule: "5x" is not a duration (write 500ms, 5s, 2m or 1h)',
  ],
  ['sender', ['--retry-schedule', '0s'], '--retry-schedule: "0s" is too short (at least 1ms)'],
  ['sender', ['--retry-schedule', '366d'], '--retry-schedule: "366d" is too long (at most a year, 8760h)'],
  [
    'sender',
    ['--concurency', '5'],
    /^sender: unknown option '--concurency'\s+\(Did you mean --concurrency\?\)/,
  ],
  ['sender', ['--seed'], `option '--seed <number>' argument missing ${HELP('sender')}`],
  ['sender', ['--failure-rate', '2', '--seed', 'x'], /--failure-rate must.*\n--seed must/],
  ...['0', '-1', 'soon'].map(
    (text) =>
      [
        'monitor',
        ['--update-interval', text],
        `--update-interval must be a number of seconds above 0, at most 86400, got "${text}"`,
      ] as const,
  ),
  ...['a/b', '.', '..'].map(
    (text) => ['monitor', ['--run', text], `--run must be ${RUN_NAME}, got "${text}"`] as const,
  ),
  ...[['--bodies'], ['--bodies', '--once'], ['--audit', '--parked', '--bodies']].map(
    (args) => ['monitor', args, '--bodies goes with --parked only'] as const,
  ),
  ['monitor', ['--parked', '--run', '..'], `--run must be ${RUN_NAME}, got ".."`],
  ['monitor', ['--onse'], /^monitor: unknown option '--onse'\s+\(Did you mean --once\?\)/],
  [
    'monitor',
    ['--update-interval'],
    `option '--update-interval <seconds>' argument missing ${HELP('monitor')}`,
  ],
];

/** Exit 2 as well, once the configuration is known to work. */
const WRONG_FILES: readonly (readonly [path: string, sentence: string])[] = [
  ['nowhere.csv', '--file nowhere.csv does not exist'],
  ['a-folder', '--file a-folder is a directory; it must be a CSV or NDJSON file'],
  ['empty.csv', '--file empty.csv is empty: it must hold at least one SMS'],
  ['empty.ndjson', '--file empty.ndjson is empty: it must hold at least one SMS'],
  ['header.csv', '--file header.csv is empty: it must hold at least one SMS'],
  ['columns.csv', 'the column "text" is missing'],
  ['send-at.csv', '--file send-at.csv: the column "send_at" must be named sendAt'],
  ['valid-for.csv', '--file valid-for.csv: the column "valid for" must be named validFor'],
  ['priorities.csv', '--file priorities.csv: the column "priority" is there twice'],
  ['list.json', "--file list.json: it is a JSON list, write one object a line (jq -c '.[]' does)"],
  ['named.csv', '--file named.csv: it holds JSON and not CSV, let its name end in .ndjson'],
];

describe.concurrent('wrong usage is told, exit 2', () => {
  beforeAll(() => {
    for (const name of ['empty.csv', 'empty.ndjson']) file(name, '');
    file('header.csv', 'to,text\n');
    file('send-at.csv', 'to,text,send_at\n+15550100001,Hello,10m\n');
    file('valid-for.csv', 'to,text,valid for\n+15550100001,Hello,1h\n');
    file('priorities.csv', 'to,text,priority,Priority\n+15550100001,Hello,high,low\n');
    file('list.json', '[{"to":"+15550100001","text":"Hello"}]\n');
    file('named.csv', '{"to":"+15550100001","text":"Hello"}\n');
    file('columns.csv', 'to,message\n+15550100001,Hello\n');
  });

  test.each(WRONG_FILES)('producer --file %s', async (path, sentence) => {
    expectRefusal(await run('producer', ['--file', path]), 2, [sentence]);
  });

  test.each(WRONG_USAGE)('%s %j', async (command, args, sentence) => {
    const ending = await run(command, args, { RABBITMQ_PORT: '0', RABBITMQ_PASSWORD: secret });
    expectRefusal(ending, 2, [sentence]);
    expect(ending.stderr).not.toContain('RABBITMQ_PORT');
    expect(ending.stdout).toBe('');
  });
});

const NO_WINDOW = (text: string) =>
  `SENDING_WINDOW: "${text}" is not a window (write 08:00-21:00 and a time zone, such as Europe/Berlin)`;

/** Bad values of the environment, and what is said of each. */
const BAD_SETTINGS: Readonly<Record<string, readonly (readonly [value: string, sentence: string])[]>> = {
  SENDER_CONCURRENCY: ['x', '-1', '0', '1.5', '1e3', '9007199254740993'].map((value) => [
    value,
    `SENDER_CONCURRENCY ${CONCURRENCY}, got "${value}"`,
  ]),
  FAILURE_RATE: ['1.1', '50%', '-1', 'half'].map((value) => [
    value,
    `FAILURE_RATE must be between 0 and 1, got "${value}"`,
  ]),
  RETRY_SCHEDULE: [
    [
      '',
      'RETRY_SCHEDULE: is empty (write waits such as 5s,30s,2m). It is the only variable that does not count as not set when it is empty: remove it to get the default',
    ],
    ['10s,,1m', 'RETRY_SCHEDULE: has an empty wait between two commas (write 5s,30s,2m)'],
    ['5x', 'RETRY_SCHEDULE: "5x" is not a duration (write 500ms, 5s, 2m or 1h)'],
    ['0s', 'RETRY_SCHEDULE: "0s" is too short (at least 1ms)'],
    ['366d', 'RETRY_SCHEDULE: "366d" is too long (at most a year, 8760h)'],
  ],
  RETRY_ANCHOR: ['Failure', 'acceptance', '1', 'failure,accepted'].map((value) => [
    value,
    `RETRY_ANCHOR must be failure or accepted, got "${value}"`,
  ]),
  UNKNOWN_RESULT: ['giveup', 'RETRY', 'fail'].map((value) => [
    value,
    `UNKNOWN_RESULT must be retry or give-up, got "${value}"`,
  ]),
  UNKNOWN_SHARE: ['1.1', '50%', '-0.1', 'half'].map((value) => [
    value,
    `UNKNOWN_SHARE must be between 0 and 1, got "${value}"`,
  ]),
  SENDING_WINDOW: [
    ['08:00-21:00', NO_WINDOW('08:00-21:00')],
    ['25:00-21:00 UTC', 'SENDING_WINDOW: "25:00" is not a time of the day (00:00 to 23:59)'],
    [
      '08:00-08:00 UTC',
      'SENDING_WINDOW: "08:00-08:00 UTC" opens and closes at the same time (leave it out to send at any time)',
    ],
    [
      '08:00-21:00 Europe/Munich',
      'SENDING_WINDOW: "Europe/Munich" is not a time zone (write an IANA name, such as Europe/Berlin or UTC)',
    ],
  ],
  RABBITMQ_PORT: ['0', '65536', '-1', '1e3'].map((value) => [
    value,
    `RABBITMQ_PORT must be a whole number from 1 to 65535, got "${value}"`,
  ]),
  RABBITMQ_URL: [
    [`http://guest:${secret}@localhost`, 'RABBITMQ_URL must begin with amqp:// or amqps://'],
    [`amqp://guest:${secret}@localhost:65536`, 'RABBITMQ_URL must be a URL such as amqp://host:port'],
  ],
  RABBITMQ_MANAGEMENT_URL: [
    [`amqp://guest:${secret}@localhost`, 'RABBITMQ_MANAGEMENT_URL must begin with http:// or https://'],
  ],
  REDIS_URL: [[`http://:${secret}@localhost`, 'REDIS_URL must begin with redis:// or rediss://']],
  AWS_ENDPOINT_URL: [
    ['s3://bucket', 'AWS_ENDPOINT_URL must begin with http:// or https://, got "s3://bucket"'],
  ],
  S3_BUCKET: ['My_Bucket', 'ab', '10.0.0.1'].map((value) => [
    value,
    `S3_BUCKET must be 3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit, got "${value}"`,
  ]),
  AWS_SECRET_ACCESS_KEY: [
    [secret, 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together, got only one of them'],
  ],
};

/** The nth bad value of every setting that has so many. */
const ROUNDS = [0, 1, 2, 3].map((round) =>
  Object.entries(BAD_SETTINGS).flatMap(([name, values]) => {
    const bad = values[round];
    return bad === undefined ? [] : [{ name, value: bad[0], sentence: bad[1] }];
  }),
);

describe.concurrent('a configuration that cannot work is told with all its problems, exit 78', () => {
  const cases = (['producer', 'sender', 'monitor'] as const).flatMap((command) =>
    ROUNDS.map((bad) => ({
      command,
      bad,
      values: bad.map(({ name, value }) => `${name}=${value}`).join(' '),
    })),
  );
  test.each(cases)('$command with $values', async ({ command, bad }) => {
    const environment = Object.fromEntries(bad.map(({ name, value }) => [name, value]));
    const ending = await run(command, command === 'monitor' ? ['--once'] : [], environment);
    expectRefusal(ending, 78, []);
    const [title, ...problems] = ending.stderr.trimEnd().split('\n');
    expect(title).toBe('Invalid configuration:');
    expect(problems.sort()).toEqual(bad.map(({ sentence }) => `  - ${sentence}`).sort());
    expect(ending.stdout).toBe('');
  });

  test.each(['21:00-08:00 Europe/Berlin', '00:00-24:00 UTC', '08:00-00:00 America/St_Johns'])(
    'the window %s can work: only the wrong port is told',
    async (value) => {
      const ending = await run('sender', [], { SENDING_WINDOW: value, RABBITMQ_PORT: '0' });
      expectRefusal(ending, 78, ['RABBITMQ_PORT']);
      expect(ending.stderr).not.toContain('SENDING_WINDOW');
    },
  );

  test.each([
    ['sender', []],
    ['monitor', ['--audit']],
    ['monitor', ['--parked']],
  ] as const)('%s %j with neither endpoint nor credentials for S3', async (command, args) => {
    const ending = await run(command, args, {
      RABBITMQ_URL: servers.rabbitmqUrl,
      REDIS_URL: servers.redisUrl,
    });
    expectRefusal(ending, 78, [
      'S3 needs credentials and none were found',
      'AWS_ACCESS_KEY_ID',
      'AWS_ENDPOINT_URL',
    ]);
  });
});

const addressOf = (url: string, change: (parts: URL) => void): string => {
  const parts = new URL(url);
  change(parts);
  return parts.href;
};
const S3 = {
  AWS_ENDPOINT_URL: servers.s3Endpoint,
  AWS_ACCESS_KEY_ID: servers.s3AccessKeyId,
  AWS_SECRET_ACCESS_KEY: servers.s3SecretAccessKey,
};
const wrongPassword = addressOf(servers.rabbitmqUrl, (url) => {
  url.password = secret;
});
const missingVhost = addressOf(servers.rabbitmqUrl, (url) => {
  url.pathname = '/nowhere';
});
const wrongRedisPassword = addressOf(servers.redisUrl, (url) => {
  url.username = 'nobody';
  url.password = secret;
});

describe.concurrent('a server that refuses us, or is not there, is told, exit 69', () => {
  test.each([
    ['producer', [], { RABBITMQ_URL: wrongPassword }, 'access refused. Check user and password'],
    ['sender', [], { RABBITMQ_URL: wrongPassword, ...S3 }, 'access refused. Check user and password'],
    ['producer', [], { RABBITMQ_URL: missingVhost }, 'the virtual host does not exist'],
    ['sender', [], { RABBITMQ_URL: missingVhost, ...S3 }, 'the virtual host does not exist'],
    ['monitor', ['--once'], { REDIS_URL: wrongRedisPassword }, 'access refused. Check REDIS_PASSWORD'],
  ] as [Command, string[], Record<string, string>, string][])(
    '%s %j refused at once, without a storm of retries',
    async (command, args, environment, sentence) => {
      const ending = await run(command, args, environment);
      expectRefusal(ending, 69, [sentence]);
      // What it logs on its way is not repeated with every try.
      expect((ending.stdout + ending.stderr).split('\n').length).toBeLessThan(10);
    },
  );

  test.each([
    [
      'producer',
      [],
      { RABBITMQ_URL: `amqp://guest:${secret}@127.0.0.1:1` },
      'RabbitMQ at 127.0.0.1:1 did not answer',
    ],
    [
      'sender',
      [],
      { RABBITMQ_URL: `amqp://guest:${secret}@127.0.0.1:1`, ...S3 },
      'RabbitMQ at 127.0.0.1:1 did not answer',
    ],
    [
      'monitor',
      ['--once'],
      { REDIS_URL: `redis://:${secret}@127.0.0.1:1` },
      'Redis at 127.0.0.1:1 did not answer',
    ],
  ] as [Command, string[], Record<string, string>, string][])(
    '%s %j not answered for half a minute',
    async (command, args, environment, sentence) => {
      const ending = await run(command, args, environment);
      expectRefusal(ending, 69, [sentence, '"npm start -- --keep"'], 40);
      expect(ending.seconds).toBeGreaterThan(20);
      // Who waits is told at once for what and, where somebody can do nothing but wait, for how long.
      const told = ending.stdout + ending.stderr;
      expect(told).toMatch(
        command === 'monitor' ? /Redis is away, trying again/ : /waiting up to \d+ s for RabbitMQ/,
      );
    },
  );
});

// Nothing is forbidden to root; nobody may not read either.
test.skipIf(process.getuid?.() !== 0)(
  'another user can work in a checkout whose servers.env and .env are not theirs',
  () => {
    const files = [
      file('.env', `FAILURE_RATE=${secret}`),
      file('.redial/servers.env', `# owner ${process.pid} `),
    ];
    for (const path of files) chmodSync(path, 0o600);
    try {
      chmodSync(checkout, 0o755);
      const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
      const args = [join(checkout, 'scripts/commands/producer.js'), '--num-messages', '1'];
      const env = {
        PATH: process.env.PATH,
        QUEUE_NAME: `nobody-${process.pid}`,
        RABBITMQ_URL: servers.rabbitmqUrl,
      };
      const ending = spawnSync('setpriv', [...asNobody, ...args], { cwd: checkout, env, encoding: 'utf8' });
      expect(ending).toMatchObject({ status: 0, stdout: expect.stringContaining('Accepted  1 of 1 SMS') });
    } finally {
      for (const path of files) rmSync(path);
    }
  },
);

describe.concurrent('an input file', () => {
  const produce = (content: string, ...args: string[]) => {
    const path = file(`input-${Math.random()}.csv`, content);
    return run('producer', ['--file', path, '--json', ...args], { RABBITMQ_URL: servers.rabbitmqUrl });
  };

  test.each([
    ['a byte-order mark', '\uFEFFto,text\n+15550100001,Hello\n+15550100002,"Hi, you"\n'],
    ['CRLF', 'to,text\r\n+15550100001,Hello\r\n+15550100002,"Hi, you"\r\n'],
    ['both, and no last line feed', '\uFEFFto,text\r\n+15550100001,Hello\r\n+15550100002,"Hi, you"'],
  ])('with %s is accepted', async (_, content) => {
    const ending = await produce(content);
    expect(ending).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(ending.stdout)).toMatchObject({ requested: 2, accepted: 2 });
  });

  test('with bad lines has them named by number, the good ones are sent, exit 1', async () => {
    const ending = await produce(
      'to,text\n+15550100001,Hello\n5550100,Hello\n+15550100003,\n+15550100004,Hello,too much\n+15550100005,Hello\n',
    );
    expectRefusal(ending, 1, [
      'line 3: to is not a phone number',
      'line 4: text is empty',
      'line 5: wrong number of columns',
    ]);
    expect(JSON.parse(ending.stdout)).toMatchObject({ requested: 5, accepted: 2, badLines: 3 });
    expect(ending.stderr).not.toMatch(/\d{7}/);
  });

  test('with bad moments, priorities and durations has them named by line, the good ones are sent, exit 1', async () => {
    const ending = await produce(
      [
        'to,text,sendAt,priority,validFor',
        '+15550100001,Hello,2026-12-01T09:00:00,,',
        '+15550100002,Hello,soon,,',
        '+15550100003,Hello,367d,,',
        '+15550100004,Hello,,urgent,',
        '+15550100005,Hello,,,1s',
        '+15550100006,Hello,,,a while',
        '+15550100007,Hello,2020-01-01T00:00:00Z,low,2s',
        '',
      ].join('\n'),
      ...['--send-at', '1h', '--priority', 'high'],
    );
    expectRefusal(ending, 1, [
      'line 2: sendAt has no offset from UTC (write Z or an offset such as +01:00 at its end)',
      `line 3: sendAt ${NO_TIME}`,
      'line 4: sendAt is more than 366 days ahead',
      'line 5: priority is not high, normal or low',
      'line 6: validFor is too short (at least 2s)',
      `line 7: validFor ${NO_DURATION}`,
    ]);
    expect(JSON.parse(ending.stdout)).toMatchObject({ requested: 7, accepted: 1, badLines: 6 });
  });

  test('with an id twice has the repeat named by both lines, it is sent once, exit 1', async () => {
    const ending = await produce(
      'to,text,id\n+15550100001,one,dup1\n+15550100002,two,dup2\n+15550100002,two,dup2\n+15550100001,three,dup1\n',
    );
    expectRefusal(ending, 1, [
      'line 4: id dup2 was on line 3 already',
      'line 5: id dup1 was on line 2 already',
    ]);
    expect(JSON.parse(ending.stdout)).toMatchObject({ requested: 4, accepted: 2, badLines: 2 });
  });
});
