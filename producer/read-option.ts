/** Undefined for an option that is not there, or that cannot be used. */
export type ReadOption = <Value>(
  flag: string,
  text: unknown,
  parse: (text: string) => Value | undefined,
  rule: string,
) => Value | undefined;

/** Reads options of a command line. @param problems gets a sentence for each option that cannot be used @param prefix begins it */
export function optionReader(problems: string[], prefix = ''): ReadOption {
  return (flag, text, parse, rule) => {
    if (typeof text !== 'string') return undefined;
    const value = parse(text);
    if (value === undefined) problems.push(`${prefix}${flag} must be ${rule}, got "${text}"`);
    return value;
  };
}
