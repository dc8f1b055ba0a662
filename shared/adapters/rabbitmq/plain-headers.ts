/**
 * amqplib reads a table into an object, and an entry called `__proto__` becomes that object's prototype. With bytes as its
 * prototype an object throws where it is looked at, the connection ends of it, and the message comes again, for ever. With
 * a table as its prototype it seems to have headers that nobody will pass on. So decoded tables lose such entries.
 */

/** Gives all tables in the headers the prototype they should have. A loop with its own stack: nobody knows how deep it is. */
export function makePlain(headers: object): void {
  const waiting: object[] = [headers];
  for (let table = waiting.pop(); table !== undefined; table = waiting.pop()) {
    // What only has bytes for a prototype is no view of them.
    if (ArrayBuffer.isView(table)) continue;
    if (!Array.isArray(table) && Object.getPrototypeOf(table) !== Object.prototype)
      Object.setPrototypeOf(table, Object.prototype);
    for (const name in table) {
      const value = (table as Record<string, unknown>)[name];
      if (typeof value === 'object' && value !== null) waiting.push(value);
    }
  }
}
