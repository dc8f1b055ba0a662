/**
 * `npm run measure:ids`: what the producer's memory of the ids of an input takes for 10 million ids. Exit code 99 where
 * it is more than 150 MB. A process of its own, because memory is the process's.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { endUnbuilt, ensureBuilt, projectFolder } from './commands/build.js';

const count = 10_000_000;
const maxBytes = 150e6;

try {
  await ensureBuilt();
  await measure();
} catch (error) {
  endUnbuilt(error);
}

async function measure() {
  const { SeenIds } = await import(
    pathToFileURL(join(projectFolder, 'dist', 'producer', 'produce', 'input', 'seen-ids.js')).href
  );

  /** @param {number} number */
  const idOf = (number) => `customer-${number * 7_919}-2026`;

  // Making the ids takes memory and time too, the same without remembering them.
  const makingNs = nanosecondsPerId((number) => idOf(number).charCodeAt(number % 12));
  const bytesBefore = residentBytes();
  const seen = new SeenIds();
  const meetingNs = nanosecondsPerId((number) => seen.meet(idOf(number), number) ?? 0);
  const bytes = residentBytes() - bytesBefore;

  console.log(
    `${count.toLocaleString('en-US')} ids: ${(bytes / 1e6).toFixed(0)} MB resident, ` +
      `${(bytes / count).toFixed(1)} bytes and ${(meetingNs - makingNs).toFixed(0)} ns an id`,
  );
  if (bytes > maxBytes) process.exitCode = 99;
}

/** @param {(number: number) => number} what */
function nanosecondsPerId(what) {
  const startedAt = process.hrtime.bigint();
  for (let number = 1; number <= count; number += 1) what(number);
  return Number(process.hrtime.bigint() - startedAt) / count;
}

function residentBytes() {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) * 1_024;
}
