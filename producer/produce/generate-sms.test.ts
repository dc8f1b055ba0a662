import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRunName, readSmsContent, smsNumberOf } from '../../shared/domain/sms/sms.ts';
import { generateRun, generateSms } from './generate-sms.ts';

const runName = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/).filter(isRunName);
const smsNumber = fc.integer({ min: 1, max: 999_999_999_999 });

// https://www.etsi.org/deliver/etsi_ts/123000_123099/123038/ : the default alphabet and its extension.
const GSM_7 = /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà^{}\\[~\]|€]*$/;

function isMultiPart(text: string): boolean {
  return text.length > (GSM_7.test(text) ? 160 : 70);
}

describe('SMS n of a run', () => {
  it('has the id that follows from run and number, and content that every sender reads', () => {
    fc.assert(
      fc.property(runName, smsNumber, (run, number) => {
        const { id, run: itsRun, ...content } = generateSms(run, number);
        expect(smsNumberOf(run, id)).toBe(number);
        expect(itsRun).toBe(run);
        expect(readSmsContent({ ...content })).toEqual({ content });
      }),
    );
  });

  it('is the same whenever it is made', () => {
    fc.assert(
      fc.property(runName, smsNumber, (run, number) => {
        expect(generateSms(run, number)).toEqual(generateSms(run, number));
      }),
    );
    expect(generateSms('demo', 1)).toMatchInlineSnapshot(`
      {
        "from": "CityRail",
        "id": "demo-000001",
        "run": "demo",
        "text": "Dear Ada, Monthly tickets of this month stay valid for another week; nothing needs to be done. We are sorry for the trouble and thank you for your patience. Staff in yellow jackets will help you on the platforms from six in the morning until midnight.",
        "to": "+15550104619",
      }
    `);
  });

  it('differs from the others in number and text', () => {
    const texts = new Set<string>();
    for (let number = 1; number <= 10_000; number += 1) texts.add(generateSms('demo', number).text);
    expect(texts.size).toBeGreaterThan(8_500);
    expect(generateSms('demo', 7).text).not.toBe(generateSms('other', 7).text);
    expect(generateSms('demo', 7).text).not.toBe(generateSms('demo', 7 + 2 ** 32).text);
  });

  it('goes to a phone number that is nobody’s', () => {
    const fictional = /^(\+1555010\d{4}|\+447700900\d{3}|\+3363998\d{4})$/;
    const countries = new Set<string>();
    for (let number = 1; number <= 10_000; number += 1) {
      const { to } = generateSms('demo', number);
      expect(to).toMatch(fictional);
      countries.add(to.slice(0, 3));
    }
    expect(countries).toEqual(new Set(['+15', '+44', '+33']));
  });
});

describe('the texts of a run', () => {
  const texts = Array.from({ length: 20_000 }, (_, index) => generateSms('demo', index + 1).text);
  const shareOf = (isSuch: (text: string) => boolean) => texts.filter(isSuch).length / texts.length;

  it('are of several parts for one in ten to one in four', () => {
    expect(shareOf(isMultiPart)).toBeGreaterThan(0.1);
    expect(shareOf(isMultiPart)).toBeLessThan(0.25);
  });

  it('do not fit the GSM 7-bit alphabet for one in twelve to one in six', () => {
    expect(shareOf((text) => !GSM_7.test(text))).toBeGreaterThan(1 / 12);
    expect(shareOf((text) => !GSM_7.test(text))).toBeLessThan(1 / 6);
  });

  it('hold emoji, Cyrillic and Chinese, and vary in length', () => {
    for (const script of [/\p{Emoji_Presentation}/u, /\p{Script=Cyrillic}/u, /\p{Script=Han}/u]) {
      expect(shareOf((text) => script.test(text))).toBeGreaterThan(0.02);
    }
    const lengths = texts.map((text) => text.length);
    expect(Math.min(...lengths)).toBeLessThan(50);
    expect(Math.max(...lengths)).toBeGreaterThan(600);
    expect(Math.max(...lengths)).toBeLessThan(1_600);
  });
});

it.each([1, 499, 500, 501, 1_234])('a run of %i SMS has the numbers 1 to %i, each once', async (count) => {
  const numbers: number[] = [];
  for await (const batch of generateRun('demo', count)) numbers.push(...batch.map((one) => one.smsNumber));
  expect(numbers).toEqual(Array.from({ length: count }, (_, index) => index + 1));
});

it('a run that goes on begins where it is told to, with the same SMS', async () => {
  const numbered = [];
  for await (const batch of generateRun('demo', 1_005, 1_004)) numbered.push(...batch);
  expect(numbered).toEqual(
    [1_004, 1_005].map((smsNumber) => ({ smsNumber, sms: generateSms('demo', smsNumber) })),
  );
  for await (const batch of generateRun('demo', 10, 11)) expect(batch).toEqual([]);
});
