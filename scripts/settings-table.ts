import { SETTINGS } from '../shared/config.ts';

/** The table of settings as the README shows it, made from the one description of all settings. */
export function settingsTable(): string {
  const rows = Object.values(SETTINGS).map((setting) => {
    const { name, unit, help, default: defaultText } = setting;
    const flag = 'flag' in setting ? ` (\`${setting.flag?.split(' ')[0]}\`)` : '';
    return `| \`${name}\`${flag} | ${help} | ${escapePipes(unit)} | ${defaultText === '' ? '' : `\`${defaultText}\``} |`;
  });
  return ['| name | meaning | unit | default |', '|---|---|---|---|', ...rows].join('\n');
}

/** The README with its table of settings renewed. */
export function withSettingsTable(readme: string): string {
  return readme.replace(
    /(<!-- settings: begin -->\n)[\s\S]*?(<!-- settings: end -->)/,
    (_, begin: string, end: string) => `${begin}${settingsTable()}\n${end}`,
  );
}

function escapePipes(text: string): string {
  return text.replaceAll('|', ' \\| ');
}
