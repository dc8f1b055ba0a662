/** What a long run says on stdout: its verdicts, and at last how many of it passed and failed. */

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Says it with its verdict. A wrong one makes the exit code 1. */
export function judge(isRight: boolean, sentence: string): void {
  if (isRight) say(`ok      ${sentence}`);
  else fail(sentence);
}

export function fail(sentence: string): void {
  process.exitCode = 1;
  say(`FAILED  ${sentence}`);
}

/** The last line. */
export function sayCounts(): void {
  say(process.exitCode === 1 ? '0 passed, 1 failed' : '1 passed, 0 failed');
}
