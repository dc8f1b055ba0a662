import { counted } from '../../shared/domain/format-count.ts';
import type { UnreadableObjects } from '../../shared/pipeline/archive/archive.ts';

const MAX_NAMED = 5;

/** A sentence where there are objects that cannot be read. */
export function unreadableProblems({ count, keys, firstReason }: UnreadableObjects): string[] {
  if (count === 0) return [];
  const more = count > MAX_NAMED ? ` and ${count - MAX_NAMED} more` : '';
  return [
    `${counted(count, 'object', 'objects')} in S3 cannot be read (the first one ${firstReason}): ` +
      `${keys.slice(0, MAX_NAMED).join(', ')}${more}`,
  ];
}
