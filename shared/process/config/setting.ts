/** How the value of a setting is written and read. */
export interface Kind<Value = unknown> {
  /** For documentation: a unit, or the words to choose from. */
  readonly unit: string;
  /** A problem continues the sentence that the name of the setting begins. */
  readonly read: (text: string) => { readonly value: Value } | { readonly problems: readonly string[] };
  /** True where each problem is a sentence of its own and quotes what is wrong: it stands behind a colon. */
  readonly hasOwnSentences?: true;
}

export interface Setting<Value = unknown, Default extends string = string> {
  /** Environment variable. */
  readonly name: string;
  /** As typed. Empty: the setting may be unset. */
  readonly default: Default;
  readonly kind: Kind<Value>;
  readonly help: string;
  /** Command-line flag with its argument, where there is one. */
  readonly flag: string | undefined;
  /** True: it is never printed, and may come from a file (`NAME_FILE`). */
  readonly isSecret: boolean;
}

export function setting<Value, const Default extends string>(
  name: string,
  defaultText: Default,
  kind: Kind<Value>,
  help: string,
  flag?: string,
): Setting<Value, Default> {
  return { name, default: defaultText, kind, help, flag, isSecret: false };
}

export const secret: typeof setting = (...given) => ({ ...setting(...given), isSecret: true });

/** What a process gets of some settings: undefined only where a setting has no default. */
export type ValuesOf<Settings> = {
  readonly [Key in keyof Settings]: Settings[Key] extends Setting<infer Value, infer Default>
    ? Value | ('' extends Default ? undefined : never)
    : never;
};
