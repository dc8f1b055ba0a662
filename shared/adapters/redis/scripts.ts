/**
 * The Lua scripts that count. Each is one atomic step. That it may be repeated without effect makes counting exact under
 * redelivery, crashes and lost replies. Redis gets each script after what all of them share, and after the numbers that
 * TypeScript knows too.
 */
import { readFileSync } from 'node:fs';
import { MAX_NAMED_REASONS, OTHER_REASONS, OWN_REASONS } from '../../domain/outcome/failure-reason.ts';
import {
  GONE_AFTER_SECONDS,
  GRACE_SECONDS,
  RESTORED_LIFE_SECONDS,
  RUN_STILL_SECONDS,
} from '../../domain/outcome/recorder-life.ts';
import { FOREIGN_RUN } from '../../domain/sms/sms.ts';

const CONSTANTS = {
  FOREIGN_RUN,
  GONE_AFTER_SECONDS,
  GRACE_SECONDS,
  MAX_NAMED_REASONS,
  OTHER_REASONS,
  OWN_REASONS: `|${OWN_REASONS.join('|')}|`,
  RESTORED_LIFE_SECONDS,
  RUN_STILL_SECONDS,
};

const SHARED = [
  ...Object.entries(CONSTANTS).map(([name, value]) => `local ${name} = ${JSON.stringify(value)}`),
  ...['session', 'counts', 'sms'].map(read),
].join('\n');

const NAMES = ['record', 'settle', 'abandon', 'restore', 'rebuild', 'signal-life', 'tidy'] as const;

/** The head of lua/<name>.lua tells what a script is called with and what it answers. */
export type ScriptName = (typeof NAMES)[number];

export const SCRIPTS = new Map(NAMES.map((name): [ScriptName, string] => [name, `${SHARED}\n${read(name)}`]));

const CARRIER_NAMES = ['exchange-pause', 'take-capacity'] as const;

/** Scripts that know nothing of the counters. */
export type CarrierScriptName = (typeof CARRIER_NAMES)[number];

export const CARRIER_SCRIPTS = new Map(
  CARRIER_NAMES.map((name): [CarrierScriptName, string] => [name, read(name)]),
);

function read(name: string): string {
  return readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8');
}
