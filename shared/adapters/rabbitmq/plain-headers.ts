/**
 * Tables of foreign clients, made harmless. amqplib reads a table into an object, and two names have a meaning there:
 * - `__proto__` becomes the object's prototype. With bytes as its prototype an object throws where it is looked at, the
 *   connection ends of it, and the message comes again, for ever.
 * - `!` names the type that amqplib will write the table as. A double whose value is a text is written as no number, for
 *   which RabbitMQ closes the connection, and whoever publishes tries again, for ever.
 */

/** Takes both out of all tables in decoded headers. A loop with its own stack: nobody knows how deep they are. */
export function makePlain(headers: object): void {
  const waiting: object[] = [headers];
  for (let table = waiting.pop(); table !== undefined; table = waiting.pop()) {
    // What only has bytes for a prototype is no view of them.
    if (ArrayBuffer.isView(table)) continue;
    if (!Array.isArray(table)) makeTablePlain(table as Record<string, unknown>);
    for (const name in table) {
      const value = (table as Record<string, unknown>)[name];
      if (typeof value === 'object' && value !== null) waiting.push(value);
    }
  }
}

function makeTablePlain(table: Record<string, unknown>): void {
  if (Object.getPrototypeOf(table) !== Object.prototype) Object.setPrototypeOf(table, Object.prototype);
  if (table['!'] !== undefined && !isMoment(table) && !isDecimal(table)) delete table['!'];
}

// These two are how amqplib itself reads what JavaScript has no type for.
function isMoment({ '!': type, value }: Record<string, unknown>): boolean {
  return type === 'timestamp' && typeof value === 'number';
}

function isDecimal({ '!': type, value }: Record<string, unknown>): boolean {
  const { places, digits } = Object(value) as { readonly places?: unknown; readonly digits?: unknown };
  return type === 'decimal' && typeof places === 'number' && typeof digits === 'number';
}
