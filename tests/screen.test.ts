/** The live screen of the monitor on a terminal: what it shows can be true, and the terminal is given back. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { PipelineUnderTest } from './kit/process/pipeline-under-test.ts';
import type { RunningProcess } from './kit/process/running-process.ts';
import { waitFor } from './kit/wait-for.ts';

const DEADLINE_MS = 180_000;
const ENTER = '\u001b[?1049h';
const LEAVE = '\u001b[?1049l';
const ESC = '\u001b';
const FRAME = new RegExp(`${ESC}\\[\\?2026h(.*?)${ESC}\\[\\?2026l`, 'gs');
const CURSOR_TO = new RegExp(`${ESC}\\[\\d+;\\d+H`);
const ESCAPE = new RegExp(`${ESC}\\[[\\d;?]*[A-Za-z]`, 'g');
const SMS_COUNT = 1_200;
/** Throws where nobody catches it. */
const CRASH_ON_USR2 = `--import=data:text/javascript,${encodeURIComponent(
  'process.on("SIGUSR2", () => { throw new Error("a crash of the test") })',
)}`;

let pipeline: PipelineUnderTest;
beforeAll(async () => {
  pipeline = new PipelineUnderTest(inject('servers'), 'screen', {
    ...{ RETRY_SCHEDULE: '1s,1500ms', FAILURE_RATE: '0.5', MEAN_PROCESSING_TIME: '0.1' },
    ...{ TERM: 'xterm-256color', MONITOR_UPDATE_INTERVAL: '0.2', SENDER_CONCURRENCY: '30' },
  });
  await pipeline.startSender();
});
afterAll(() => pipeline.end());

/** The monitor on a terminal of 100 columns and 40 rows; what is done after it tells the modes of the terminal. */
function onTerminal(settings: Record<string, string> = {}): RunningProcess {
  const monitor = `'${process.execPath}' scripts/commands/monitor.js`;
  const command = `stty cols 100 rows 40; ${monitor} & echo "pid $!"; fg >/dev/null; echo "ended $?"; stty -a`;
  return pipeline.run(['-qefc', `bash -mc '${command.replaceAll("'", "'\\''")}'`, '/dev/null'], settings, {
    ...{ program: 'script', stdio: 'pipe' },
  });
}

/** The lines of each frame, without colours. */
function framesOf(printed: string): string[][] {
  return [...printed.matchAll(FRAME)].map(([, frame = '']) =>
    frame
      .split(CURSOR_TO)
      .slice(1)
      .map((line) => line.replaceAll(ESCAPE, '')),
  );
}

const numberIn = (text: string | undefined) => Number(text?.replaceAll(',', ''));

interface Shown {
  readonly accepted: number;
  readonly outcomes: number;
  readonly inProgress: number;
  /** In the queues of SMS. */
  readonly waiting: number;
  readonly text: string;
}

/** The numbers of a frame; undefined where it has none yet. */
function readFrame(lines: readonly string[]): Shown | undefined {
  const text = lines.join('\n');
  const books =
    /([\d,]+) accepted = ([\d,]+) sent \+ ([\d,]+) failed \+ ([\d,]+) parked \+ ([\d,]+) in progress/;
  const [, accepted, ...parts] = books.exec(text) ?? [];
  if (accepted === undefined) return undefined;
  const [sent = 0, failed = 0, parked = 0, inProgress = 0] = parts.map(numberIn);
  const queues = [...text.matchAll(/^(?:high|work|low|due|retry \d+ +\S+) +([\d,]+)/gm)];
  const waiting = queues.reduce((sum, [, count]) => sum + numberIn(count), 0);
  return { accepted: numberIn(accepted), outcomes: sent + failed + parked, inProgress, waiting, text };
}

test('no moment of a run with failures is shown that cannot be, and q gives the terminal back', async () => {
  const screen = onTerminal();
  await screen.says('q quits', DEADLINE_MS);
  await pipeline.produce(SMS_COUNT, 'screened');
  const done = `all ${SMS_COUNT.toLocaleString('en-US')} SMS have their outcome`;
  await waitFor('the screen to say that all is done', () => screen.stdout.includes(done), DEADLINE_MS);
  screen.child.stdin?.write('q');
  const { stdout } = await screen.ended;

  const shown = framesOf(stdout).flatMap((frame) => readFrame(frame) ?? []);
  const moving = shown.filter(({ inProgress, outcomes }) => inProgress > 0 && outcomes > 0);
  expect(moving.length).toBeGreaterThanOrEqual(20);
  expect(shown.filter(({ accepted, outcomes, inProgress }) => accepted !== outcomes + inProgress)).toEqual(
    [],
  );
  // Where more wait than are in progress, a problem says so: their announcement is not recorded yet.
  expect(shown.filter((each) => each.waiting > each.inProgress && !/^! .*SMS wait/m.test(each.text))).toEqual(
    [],
  );
  expect(moving.some(({ waiting }) => waiting > 0)).toBe(true);
  const { accepted, sent, failed } = await pipeline.snapshot();
  expect(shown.at(-1)?.text).toContain(
    `${accepted.toLocaleString('en-US')} accepted = ${sent.toLocaleString('en-US')} sent + ${failed.toLocaleString('en-US')} failed`,
  );
  expectGivenBack(stdout, 0);
});

test('SIGTERM and an error that nobody catches give the terminal back', async () => {
  for (const { signal, exitCode } of [
    { signal: 'SIGTERM', exitCode: 0 },
    { signal: 'SIGUSR2', exitCode: 1 },
  ] as const) {
    const screen = onTerminal({ NODE_OPTIONS: CRASH_ON_USR2 });
    await screen.says('What waits where', DEADLINE_MS);
    process.kill(Number(/pid (\d+)/.exec(screen.stdout)?.[1]), signal);
    const { stdout } = await screen.ended;
    expectGivenBack(stdout, exitCode);
    const afterwards = stdout.slice(stdout.lastIndexOf(LEAVE));
    expect(afterwards.includes('a crash of the test')).toBe(signal === 'SIGUSR2');
  }
});

function expectGivenBack(stdout: string, exitCode: number): void {
  expect(stdout.split(ENTER)).toHaveLength(2);
  expect(stdout.split(LEAVE)).toHaveLength(2);
  const [screen = '', afterwards = ''] = stdout.slice(stdout.indexOf(ENTER)).split(LEAVE);
  expect(screen.lastIndexOf('\u001b[?25h')).toBeGreaterThan(screen.lastIndexOf('\u001b[?25l'));
  expect(screen.lastIndexOf('\u001b[?7h')).toBeGreaterThan(screen.lastIndexOf('\u001b[?7l'));
  // Whatever is drawn is part of a frame, and nothing scrolls.
  expect(screen.replaceAll(FRAME, '')).not.toContain('What waits where');
  expect(screen).not.toContain('\n');
  expect(afterwards).toContain(`ended ${exitCode}`);
  expect(afterwards).toMatch(/[ ;]icanon\b/);
  expect(afterwards).toMatch(/[ ;]echo\b/);
}
