import type { Logger } from '../../shared/ports/logger.ts';

/** A logger that keeps its lines. */
export class RecordedLog implements Logger {
  readonly lines: { readonly level: string; readonly fields: object; readonly message: string }[] = [];

  debug(fields: object, message: string): void {
    this.lines.push({ level: 'debug', fields, message });
  }
  info(fields: object, message: string): void {
    this.lines.push({ level: 'info', fields, message });
  }
  warn(fields: object, message: string): void {
    this.lines.push({ level: 'warn', fields, message });
  }
  error(fields: object, message: string): void {
    this.lines.push({ level: 'error', fields, message });
  }

  get messages(): string[] {
    return this.lines.map((line) => line.message);
  }

  count(part: string): number {
    return this.messages.filter((message) => message.includes(part)).length;
  }
}
