#!/usr/bin/env node
/** The producer: publishes the SMS of a run, and ends when RabbitMQ has confirmed them; or does what a subcommand says. */
import { printable } from '../shared/domain/printable.ts';
import { parseCommandLine } from '../shared/process/command-line.ts';
import { loadConfig } from '../shared/process/config/config.ts';
import { findProjectFolder, readEnvironment } from '../shared/process/environment.ts';
import { EXIT, runToExit } from '../shared/process/exit-code.ts';
import { say, writeData } from '../shared/process/output.ts';
import { listenForShutdown } from '../shared/process/shutdown.ts';
import { type Report, Surroundings } from './compose.ts';
import { moveOverdue } from './move/compose.ts';
import { direct } from './move/direct/compose.ts';
import { redrive } from './move/redrive/compose.ts';
import { openInput, produceRun } from './produce/compose.ts';
import { makeRandomText, makeRunName } from './produce/produce-options.ts';
import { declareCommands, type ProducerCommand } from './producer-command.ts';

await runToExit(async () => {
  let command: ProducerCommand | undefined;
  const program = declareCommands(Date.now(), (asked) => {
    command = asked;
  });
  parseCommandLine(program, process.argv.slice(2));
  if (command === undefined) return EXIT.done;
  const shutdown = listenForShutdown();
  if (command.kind === 'serve') {
    const { serve } = await import('./serve/compose.ts');
    return serve(loadConfig(readEnvironment(findProjectFolder()), command.flags), shutdown);
  }
  return end(await perform(command, shutdown), command.isJson, shutdown);
});

async function perform(
  command: Exclude<ProducerCommand, { kind: 'serve' }>,
  shutdown: AbortSignal,
): Promise<Report> {
  switch (command.kind) {
    case 'produce': {
      const { options } = command;
      const run = options.run ?? makeRunName(Date.now(), makeRandomText(Math.random));
      // Before the configuration is judged: an input that cannot be read is wrong usage.
      const input = await openInput(options, run, shutdown);
      return produceRun({ run, input, options }, surroundingsOf(shutdown));
    }
    case 'requeue-overdue':
      return moveOverdue(surroundingsOf(shutdown));
    case 'redrive':
      return redrive(command.options, surroundingsOf(shutdown));
    case 'cancel':
    case 'retry-now':
      return direct(command.kind, command.aim, surroundingsOf(shutdown));
  }
}

function surroundingsOf(shutdown: AbortSignal): Surroundings {
  return new Surroundings(loadConfig(readEnvironment(findProjectFolder())), shutdown);
}

/** Prints what was done, and says on stderr what stdout does not take. @throws OutputError */
async function end(report: Report, isJson: boolean, shutdown: AbortSignal): Promise<number> {
  let isPrinted = false;
  try {
    const text = isJson ? `${printable(JSON.stringify(report.summary))}\n` : report.text;
    isPrinted = await writeData(text, shutdown);
  } finally {
    if (!isPrinted) say(report.line);
  }
  if (!shutdown.aborted) {
    for (const hint of await report.findHints()) say(hint);
    return report.isComplete ? EXIT.done : EXIT.failed;
  }
  const signal = String(shutdown.reason) as keyof typeof EXIT.interrupted;
  say(`interrupted by ${signal}: ${report.rest}`);
  return EXIT.interrupted[signal];
}
