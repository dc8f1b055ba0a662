import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProjectFolder } from '../../../shared/process/environment.ts';

const project = findProjectFolder();

/** Copies the built programs, so that another build does not change them during a run. @param more parts of the project */
export function copyPrograms(folder: string, more: readonly string[] = []): string {
  for (const part of ['dist', 'package.json', ...more])
    cpSync(join(project, part), join(folder, part), { recursive: true });
  symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** A checkout of its own, built, without a .env that would fill in what a test leaves out. The caller removes it. */
export function makeCheckout(name: string): string {
  execFileSync(process.execPath, [join(project, 'scripts/commands/build.js')], { stdio: 'pipe' });
  const folder = mkdtempSync(join(tmpdir(), `redial-${name}-`));
  return copyPrograms(folder, ['scripts/commands', 'scale_sender.sh']);
}
