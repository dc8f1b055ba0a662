/** `npm run test:fuzz`: 200,000 foreign messages and 20,000 forged journal pages on private servers. */
import { Command } from 'commander';
import { endProcessesOnSignals } from '../kit/process/running-process.ts';
import { startTestServers } from '../kit/process/test-servers.ts';
import { fuzz } from './fuzz-run.ts';

interface Options {
  readonly seed: string;
  readonly messages: string;
  readonly pages: string;
  readonly batches: string;
  readonly senders: string;
}

const { seed, messages, pages, batches, senders } = new Command('test:fuzz')
  .option('--seed <number>', 'makes the same messages again', String(Math.floor(Math.random() * 1e9)))
  .option('--messages <count>', 'foreign messages', '200000')
  .option('--pages <count>', 'forged journal pages', '20000')
  .option('--batches <count>', 'batches they are published in, each with 1,000 good SMS', '10')
  .option('--senders <count>', 'sender processes', '2')
  .parse()
  .opts<Options>();

const say = (line: string) => process.stdout.write(`${line}\n`);
say(
  `seed ${seed}; again with: npm run test:fuzz -- --seed ${seed} --messages ${messages} --pages ${pages} --batches ${batches}`,
);
const startedMs = Date.now();
const { servers, stop } = await startTestServers();
endProcessesOnSignals(stop);
try {
  const result = await fuzz(servers, {
    seed: Number(seed),
    messages: Number(messages),
    pages: Number(pages),
    batches: Number(batches),
    goodSms: 1_000,
    senders: Number(senders),
    say,
  });
  const { problems, takenMessages, takenPages, refused, peakMegabytes, keptLines } = result;
  say(
    `\n${takenMessages} messages and ${takenPages} pages taken in ${Math.round((Date.now() - startedMs) / 1_000)} s, ` +
      `${refused} connections refused, ${keptLines} lines kept for a newer version, ` +
      `senders at most ${Math.round(peakMegabytes)} MB`,
  );
  for (const problem of problems) say(`FAILED ${problem}`);
  say(problems.length === 0 ? '1 passed, 0 failed' : '0 passed, 1 failed');
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  await stop();
}
