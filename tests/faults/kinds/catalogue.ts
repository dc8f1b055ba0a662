import type { Fault } from '../fault.ts';
import { DIRECTIVE_FAULTS } from './directive-faults.ts';
import { EVERYTHING_FAULTS } from './everything-faults.ts';
import { HOLD_FAULTS } from './hold-faults.ts';
import { PARTIAL_FAULTS } from './partial-faults.ts';
import { PRODUCER_FAULTS } from './producer-faults.ts';
import { RABBITMQ_FAULTS } from './rabbitmq-faults.ts';
import { REDIS_FAULTS } from './redis-faults.ts';
import { RESUME_FAULTS } from './resume-faults.ts';
import { S3_FAULTS } from './s3-faults.ts';
import { SENDER_FAULTS } from './sender-faults.ts';

/** Every fault, in the order of the table. */
export const FAULTS: readonly Fault[] = [
  ...SENDER_FAULTS,
  ...HOLD_FAULTS,
  ...DIRECTIVE_FAULTS,
  ...PRODUCER_FAULTS,
  ...RESUME_FAULTS,
  ...RABBITMQ_FAULTS,
  ...REDIS_FAULTS,
  ...S3_FAULTS,
  ...PARTIAL_FAULTS,
  ...EVERYTHING_FAULTS,
];

export function faultNamed(name: string): Fault {
  const fault = FAULTS.find((each) => each.name === name);
  if (fault === undefined)
    throw new Error(`there is no fault "${name}": ${FAULTS.map((each) => each.name).join(', ')}`);
  return fault;
}
