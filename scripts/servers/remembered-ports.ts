/**
 * Ports that servers of a checkout had, kept in one file by the server's name. A server that is started again takes them
 * again, so that what still looks for it at its old address finds it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';

export interface RememberedPorts {
  /** Empty where nothing is remembered. */
  recall(): readonly number[];
  /** Forgotten where the file cannot be written: ports are a preference, and the server runs already. */
  keep(ports: readonly number[]): void;
}

const fileShape = z.record(z.string(), z.array(z.unknown()));

export function rememberedPorts(file: string, name: string): RememberedPorts {
  return {
    recall: () => (read(file)[name] ?? []).map(Number),
    keep(ports) {
      try {
        writeFileSync(file, `${JSON.stringify({ ...read(file), [name]: ports })}\n`, { mode: 0o600 });
      } catch {}
    },
  };
}

/** A file that is missing or damaged remembers nothing. */
function read(file: string): Record<string, unknown[]> {
  try {
    return fileShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return {};
  }
}
