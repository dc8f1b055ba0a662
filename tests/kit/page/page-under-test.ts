import { findFreePorts } from '../../../scripts/servers/free-ports.ts';
import type { PipelineUnderTest } from '../process/pipeline-under-test.ts';
import type { ProcessRecipe, RunningProcess } from '../process/running-process.ts';

/** A monitor with its page, as a process. */
export class PageUnderTest {
  readonly process: RunningProcess;
  readonly url: string;
  readonly port: number;

  private constructor(process: RunningProcess, port: number) {
    this.process = process;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Started, and its page listens. @param port default: one that is free */
  static async start(
    pipeline: PipelineUnderTest,
    settings: Record<string, string> = {},
    port?: number,
    more: Partial<ProcessRecipe> = {},
  ): Promise<PageUnderTest> {
    const [free = 0] = port === undefined ? await findFreePorts(1) : [port];
    const monitor = pipeline.start('monitor', ['--port', String(free)], settings, more);
    await monitor.says(`:${free}`, 180_000);
    return new PageUnderTest(monitor, free);
  }
}
