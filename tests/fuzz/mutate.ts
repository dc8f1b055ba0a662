import type { Dice } from '../../shared/rehearsal/dice.ts';

// Lengths, signs and delimiters are where decoders err.
const TELLING_BYTES = [0x00, 0x01, 0x0a, 0x22, 0x5c, 0x7b, 0x7d, 0x7f, 0x80, 0xc0, 0xe2, 0xff] as const;

/** The bytes with a few of them changed, taken out, doubled, or the end cut off. */
export function mutated(bytes: Buffer, dice: Dice): Buffer {
  let result: Buffer = Buffer.from(bytes);
  for (let count = dice.isHit(0.7) ? 1 : dice.between(2, 4); count > 0 && result.length > 0; count -= 1)
    result = mutatedOnce(result, dice);
  return result;
}

function mutatedOnce(bytes: Buffer, dice: Dice): Buffer {
  const at = dice.below(bytes.length);
  const length = dice.between(1, 8);
  switch (dice.below(9)) {
    case 0:
    case 6:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.below(8));
      return bytes;
    case 1:
    case 7:
      bytes[at] = dice.below(256);
      return bytes;
    case 2:
    case 8:
      bytes[at] = dice.oneOf(TELLING_BYTES);
      return bytes;
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)]);
    default:
      return dice.isHit(0.2)
        ? bytes.subarray(0, at)
        : Buffer.concat([bytes.subarray(0, at), Buffer.from([dice.below(256)]), bytes.subarray(at)]);
  }
}
