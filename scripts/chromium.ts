/** The browser that the page is tested in. */
import { existsSync } from 'node:fs';
import { ServerUnavailableError } from '../shared/errors.ts';
import { canInstallPackages, installPackages } from './servers/programs/install-packages.ts';
import { findProgram } from './servers/programs/installed-programs.ts';

// Without a font, text has no width, and nothing on the page is where it would be.
const PACKAGES = ['chromium', 'fonts-dejavu-core'];
const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Undefined where there is none. @param environment CHROMIUM_PATH names another one */
export function findChromium(environment: NodeJS.ProcessEnv): string | undefined {
  const given = environment.CHROMIUM_PATH ?? '';
  if (given !== '') return existsSync(given) ? given : undefined;
  return NAMES.map((name) => findProgram(name, environment.PATH ?? '')).find((path) => path !== undefined);
}

/** Installs it where it is missing. @throws ServerUnavailableError */
export async function ensureChromium(
  environment: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<void> {
  if (findChromium(environment) !== undefined) return;
  if (await canInstallPackages()) {
    say(`Installing ${PACKAGES.join(' and ')} with apt-get …`);
    await installPackages(PACKAGES);
  }
  if (findChromium(environment) !== undefined) return;
  throw new ServerUnavailableError(
    `No Chromium to test the page in. Install it, or name one with CHROMIUM_PATH:
  Debian, Ubuntu:  sudo apt-get update && sudo apt-get install --no-install-recommends ${PACKAGES.join(' ')}`,
    { isRefusal: true },
  );
}
