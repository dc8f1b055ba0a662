/** Runs of rows that are not full yet, one JSON object a line, so that `--missing` can be stopped and gone on with. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { RunFigures } from './run-figures.ts';

export interface KeptRun {
  readonly fault: string;
  /** Of the row. */
  readonly firstSeed: number;
  readonly seed: number;
  /** The build that was run: a row is never made of two. */
  readonly build: string;
  readonly figures: RunFigures;
}

/** The runs of this build. */
export function readKeptRuns(file: string, build: string): KeptRun[] {
  return readAll(file).filter((run) => run.build === build);
}

export function keepRun(file: string, run: KeptRun): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  appendFileSync(file, `${JSON.stringify(run)}\n`, { mode: 0o600 });
}

/** Forgets the runs of a fault: its row is full. */
export function forgetRuns(file: string, fault: string): void {
  const others = readAll(file).filter((run) => run.fault !== fault);
  if (existsSync(file)) writeFileSync(file, others.map((run) => `${JSON.stringify(run)}\n`).join(''));
}

function readAll(file: string): KeptRun[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').split('\n').flatMap(parse);
}

/** Nothing for a line that was cut off when its writer was killed. */
function parse(line: string): KeptRun[] {
  try {
    return line === '' ? [] : [JSON.parse(line) as KeptRun];
  } catch {
    return [];
  }
}
