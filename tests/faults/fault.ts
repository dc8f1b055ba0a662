import type { FaultRun } from './fault-run.ts';
import type { RunSettings } from './run-settings.ts';

/** One promise that is kept under one fault. */
export interface Fault {
  /** For `--only`. */
  readonly name: string;
  /** What is done to the pipeline, for people. */
  readonly title: string;
  /** How often the fault is played by `npm run test:faults`. */
  readonly runs: number;
  /** True where RabbitMQ itself is harmed: no other run may use it meanwhile. */
  readonly isAloneOnRabbitMq?: boolean;
  /** True where no process dies and no server loses anything: then nothing may be recorded twice. */
  readonly isCrashFree?: boolean;
  /** From the end of the fault to the last outcome, seconds. Default 30. */
  readonly recoversWithinSeconds?: number;
  readonly settings?: Partial<RunSettings>;
  /** Produces, harms, heals. Throws where a promise is broken that the checker cannot see. */
  inject(run: FaultRun): Promise<void>;
  /** What else must be true when all is quiet. */
  verify?(run: FaultRun): Promise<void>;
}
