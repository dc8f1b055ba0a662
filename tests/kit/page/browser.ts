/** One browser for a test: Chromium of the system, with an empty profile and without anything that talks to the outside. */
import { type Browser, chromium, type Page } from 'playwright-core';
import { findChromium } from '../../../scripts/chromium.ts';

const ARGUMENTS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync', '--no-proxy-server', '--disable-dev-shm-usage'],
];

/** Its profile is a new folder that goes with it. */
export function startBrowser(): Promise<Browser> {
  const executablePath = findChromium(process.env);
  if (executablePath === undefined) throw new Error('Chromium is not installed: npm test installs it');
  return chromium.launch({ executablePath, args: ARGUMENTS });
}

/** What a page wrote into its console, and errors that nobody caught. */
export function listenToConsole(page: Page): string[] {
  const said: string[] = [];
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => said.push(`uncaught: ${error.message}`));
  return said;
}
