/** One browser for a test: Chromium of the system, with an empty profile and without anything that talks to the outside. */
import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const ARGUMENTS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--no-proxy-server', '--disable-dev-shm-usage'],
];

export function findChromium(): string {
  const given = process.env.CHROMIUM_PATH;
  const path = [...(given === undefined ? [] : [given]), ...PLACES].find((each) => existsSync(each));
  if (path === undefined)
    throw new Error('Chromium is not installed: apt-get install chromium fonts-dejavu-core');
  return path;
}

/** Its profile is a new folder that goes with it. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium(), args: ARGUMENTS });
}

/** What a page wrote into its console, and errors that nobody caught. */
export function listenToConsole(page: Page): string[] {
  const said: string[] = [];
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => said.push(`uncaught: ${error.message}`));
  return said;
}
