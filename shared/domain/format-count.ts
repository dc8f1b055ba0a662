/** 1234567 → `1,234,567`: the same in every locale. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** `1 SMS`, `2 objects`: a count with its noun. */
export function counted(count: number, one: string, many: string): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
