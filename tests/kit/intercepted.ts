/** Decides what becomes of a call: `run` carries it out. */
export type Intercept = (
  name: string,
  run: () => Promise<unknown>,
  args: readonly unknown[],
) => Promise<unknown>;

/** The same port, with a say in every call that is answered by a promise. */
export function intercepted<Port extends object>(port: Port, intercept: Intercept): Port {
  return new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name === 'list') return value.bind(target);
      return (...args: unknown[]) =>
        intercept(String(name), () => Reflect.apply(value, target, args) as Promise<unknown>, args);
    },
  });
}
