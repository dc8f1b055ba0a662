import {
  getCountries,
  getCountryCallingCode,
  isPossiblePhoneNumber,
  Metadata,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/min';
import type { JudgeNumber } from './schemas.ts';

/** What is asked of the national numbers behind a country calling code, by each country that has it. */
interface NumberingPlan {
  readonly lengths: ReadonlySet<number>;
  /** What may stand before a national number and is no part of it. */
  readonly nationalPrefixes: readonly RegExp[];
}

const MAX_CODE_DIGITS = 3;
const plans = new Map<string, NumberingPlan | undefined>();

/** Says of a number in E.164 whether it can be one in its country. Whether it is in use, only its carrier knows. */
export const judgePossible: JudgeNumber = (to) => {
  if (isPlainlyPossible(to) || isPossiblePhoneNumber(to)) return undefined;
  const country = parsePhoneNumberFromString(to)?.countryCallingCode;
  return country === undefined
    ? 'is not a number of any country'
    : `is not a possible number for +${country}`;
};

/**
 * Most numbers are plain: code, then as many digits as the country allows. To parse a number takes longer than all else that
 * the API does for an SMS. False says nothing.
 */
function isPlainlyPossible(to: string): boolean {
  for (let digits = 1; digits <= MAX_CODE_DIGITS; digits += 1) {
    const plan = planOf(to.slice(1, 1 + digits));
    if (plan === undefined) continue;
    const national = to.slice(1 + digits);
    return (
      plan.lengths.has(national.length) && !plan.nationalPrefixes.some((prefix) => prefix.test(national))
    );
  }
  return false;
}

/** Undefined for a code of no country. */
function planOf(callingCode: string): NumberingPlan | undefined {
  if (!plans.has(callingCode)) plans.set(callingCode, readPlan(callingCode));
  return plans.get(callingCode);
}

function readPlan(callingCode: string): NumberingPlan | undefined {
  const countries = getCountries().filter((country) => getCountryCallingCode(country) === callingCode);
  if (countries.length === 0) return undefined;
  const plans = countries.map((country) => {
    const metadata = new Metadata();
    metadata.selectNumberingPlan(country);
    return metadata.numberingPlan as unknown as {
      possibleLengths(): readonly number[] | undefined;
      nationalPrefixForParsing(): string | undefined;
    };
  });
  const [first = [], ...others] = plans.map((plan) => plan.possibleLengths() ?? []);
  return {
    lengths: new Set(first.filter((length) => others.every((lengths) => lengths.includes(length)))),
    nationalPrefixes: plans
      .map((plan) => plan.nationalPrefixForParsing() ?? '')
      .filter((prefix) => prefix !== '')
      .map((prefix) => new RegExp(`^(?:${prefix})`)),
  };
}
