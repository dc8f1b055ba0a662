import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const project = join(import.meta.dirname, '..');

/** A checkout of its own, built, without a .env that would fill in what a test leaves out. The caller removes it. */
export function makeCheckout(name: string): string {
  const checkout = mkdtempSync(join(tmpdir(), `redial-${name}-`));
  execFileSync(process.execPath, [join(project, 'scripts/commands/build.js')], { stdio: 'pipe' });
  for (const part of ['dist', 'scripts/commands', 'package.json', 'scale_sender.sh'])
    cpSync(join(project, part), join(checkout, part), { recursive: true });
  symlinkSync(join(project, 'node_modules'), join(checkout, 'node_modules'));
  return checkout;
}
