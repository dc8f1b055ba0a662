/** Every link of the documentation leads somewhere, and every source file that it names is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const project = join(import.meta.dirname, '..');
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'bench/README.md', 'deploy/systemd/README.md'],
  ...readdirSync(join(project, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const LINK = /\]\(([^)#\s]*)(?:#([^)\s]+))?\)/g;
const SOURCE_FILE =
  /`((?:producer|sender|monitor|shared|scripts|tests|bench|deploy)\/[\w./-]+\.(?:ts|js|lua|json))`/g;

const read = (path: string) => readFileSync(path, 'utf8');

/** The anchors that GitHub makes of the headings of a page. */
function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** Why a link leads nowhere; undefined where it leads somewhere, or out of the checkout. */
function judgeLink(page: string, path: string, anchor: string | undefined): string | undefined {
  if (/^https?:/.test(path)) return undefined;
  const target = path === '' ? join(project, page) : join(project, dirname(page), path);
  if (!existsSync(target)) return `${path} is not there`;
  const hasAnchor = anchor === undefined || anchorsOf(read(target)).includes(anchor);
  return hasAnchor ? undefined : `${path} has no heading #${anchor}`;
}

test.each(pages)('the links of %s lead somewhere', (page) => {
  const links = [...read(join(project, page)).matchAll(LINK)];
  expect(links.flatMap(([, path = '', anchor]) => judgeLink(page, path, anchor) ?? [])).toEqual([]);
});

test.each(pages)('the source files that %s names are there', (page) => {
  const named = [...read(join(project, page)).matchAll(SOURCE_FILE)].map(([, path = '']) => path);
  expect(named.filter((path) => !existsSync(join(project, path)))).toEqual([]);
});

test('each alert names a heading that says what to do', () => {
  const rules = read(join(project, 'deploy/observability/prometheus/rules.yml'));
  const places = [...rules.matchAll(/ runbook: (\S+)#(\S+)/g)];
  expect(places.map(([, , anchor]) => anchor)).toEqual(
    [...rules.matchAll(/alert: (\S+)/g)].map(([, name = '']) => name.toLowerCase()),
  );
  const judged = places.flatMap(([, path = '', anchor]) => judgeLink('README.md', path, anchor) ?? []);
  expect(judged).toEqual([]);
});

test('the README is no longer than 200 lines', () => {
  expect(read(join(project, 'README.md')).split('\n').length).toBeLessThanOrEqual(200);
});
