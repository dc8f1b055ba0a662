/** What the composing files build. */
export interface MonitorCommand {
  /** @returns the exit code */
  run(): Promise<number>;
  /** Closes what the command has opened. */
  close(): void;
}
