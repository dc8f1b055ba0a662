/** What is written from the one table of settings: the table in the documentation, and `.env`. */
import { SETTINGS } from '../shared/process/config/config.ts';
import type { Setting } from '../shared/process/config/setting.ts';

/** The file with the table, in the checkout's folder. */
export const TABLE_FILE = 'docs/settings.md';

const ENV_FILE_HEAD = `# Every setting of Redial with its default. Nearer wins: flag, environment, .redial/servers.env while \`npm start\`
# runs, this file, default. Settings without a default are commented out. Secrets may come from a file: NAME_FILE.
`;

/** What a fresh clone works with although it is no default: the embedded S3 server of `npm start`. */
const EMBEDDED_S3: Readonly<Record<string, string>> = {
  AWS_ENDPOINT_URL: 'http://localhost:8333',
  AWS_ACCESS_KEY_ID: 'S3RVER',
  AWS_SECRET_ACCESS_KEY: 'S3RVER',
};

/** The documentation with its table of settings renewed. */
export function withSettingsTable(page: string): string {
  const rows = Object.values(SETTINGS).map(({ name, flag, help, kind, default: defaultText }) => {
    const shownFlag = flag === undefined ? '' : ` (\`${flag.split(' ')[0]}\`)`;
    const shownDefault = defaultText === '' ? '' : `\`${defaultText}\``;
    return `| \`${name}\`${shownFlag} | ${help} | ${kind.unit.replaceAll('|', ' \\| ')} | ${shownDefault} |`;
  });
  const table = ['| name | meaning | unit | default |', '|---|---|---|---|', ...rows].join('\n');
  return page.replace(
    /(<!-- settings: begin -->\n)[\s\S]*?(<!-- settings: end -->)/,
    (_, begin: string, end: string) => `${begin}${table}\n${end}`,
  );
}

/** `.env`: every setting with its default. */
export function renderEnvFile(): string {
  return [ENV_FILE_HEAD, ...Object.values<Setting>(SETTINGS).map(renderVariable)].join('\n');
}

function renderVariable({ name, kind, help, default: defaultText }: Setting): string {
  const embedded = EMBEDDED_S3[name];
  const note =
    embedded === undefined ? '' : '; here the embedded server: remove its three lines for AWS itself';
  const text = embedded ?? defaultText;
  const unit = kind.unit === '' ? '' : `${kind.unit}; `;
  return `# ${unit}${help}${note}\n${text === '' ? '# ' : ''}${name}=${text}\n`;
}
