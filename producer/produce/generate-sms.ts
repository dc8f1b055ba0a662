/**
 * SMS to rehearse with: number n of a run is a pure function of (run, n), so a run can be produced again with the
 * same ids and the same content. Phone numbers are fictional ones only: nobody is reached even through a real
 * gateway. Length and alphabet vary as they do in life: one-time codes, notices, reminders, texts of several parts,
 * texts that do not fit the GSM 7-bit alphabet.
 */
import { mixBits } from '../../shared/domain/mix-bits.ts';
import { GENERATED_INPUT } from '../../shared/domain/outcome/outcome.ts';
import { type Sms, smsIdOf } from '../../shared/domain/sms/sms.ts';
import type { NumberedSms } from './produce-run.ts';

const BATCH_SIZE = 500;

/** The SMS of a run that are made up: what an InputFile is for those of a file. */
export class GeneratedInput {
  readonly identity = GENERATED_INPUT;
  readonly rowCount: number;
  readonly maxRows: number;
  readonly badLineCount = undefined;
  readonly #run: string;
  #acceptedBefore = 0;

  constructor(run: string, count: number) {
    this.#run = run;
    this.rowCount = count;
    this.maxRows = count;
  }

  get acceptedBefore(): number {
    return this.#acceptedBefore;
  }

  batches(resumeAfter: number): AsyncGenerator<NumberedSms[]> {
    this.#acceptedBefore = Math.min(resumeAfter, this.rowCount);
    return generateRun(this.#run, this.rowCount, resumeAfter + 1);
  }

  async identify(): Promise<void> {}

  close(): void {}
}

/** SMS `start` to `count` of a run, in batches. */
export async function* generateRun(run: string, count: number, start = 1): AsyncGenerator<NumberedSms[]> {
  for (let first = start; first <= count; first += BATCH_SIZE) {
    const length = Math.min(BATCH_SIZE, count - first + 1);
    yield Array.from({ length }, (_, index) => ({
      smsNumber: first + index,
      sms: generateSms(run, first + index),
    }));
  }
}

/** The SMS with that number (from 1) in a run. */
export function generateSms(run: string, smsNumber: number): Sms {
  const draws = new Draws(run, smsNumber);
  const to = phoneNumber(draws);
  const { from, write } = draws.oneOf(KINDS);
  const id = smsIdOf(run, smsNumber);
  const text = write(draws);
  return from === undefined ? { id, run, to, text } : { id, run, to, text, from };
}

/**
 * +1 555 010 xxxx: no such area code, and no exchange begins with 0.
 * +44 7700 900xxx: Ofcom's mobile numbers for drama. +33 6 39 98 xx xx: those of France, by Arcep's numbering plan.
 */
function phoneNumber(draws: Draws): string {
  switch (draws.below(4)) {
    case 0:
      return `+447700900${draws.digits(3)}`;
    case 1:
      return `+3363998${draws.digits(4)}`;
    default:
      return `+1555010${draws.digits(4)}`;
  }
}

interface Kind {
  /** How many of 32 SMS are of this kind. */
  readonly share: number;
  readonly from?: string;
  readonly write: (draws: Draws) => string;
}

const NAMES = ['Ada', 'Omar', 'Mia', 'Jonas', 'Priya', 'Luc', 'Zoe', 'Mateo'];
const DOCTORS = ['Okafor', 'Lindgren', 'Marchetti', 'Sato', 'Novak', 'Abebe'];
const BRANDS = ['Northbank', 'Parcelo', 'Ticketry', 'Cloudling', 'Velora'];
const DAYS = ['today', 'tomorrow', 'on Monday', 'on Wednesday', 'on Friday', 'on Saturday'];
const SHOPS = ['Corner Books', 'Green Grocer', 'Rail & Ride', 'Night Pharmacy', 'Bike Garage'];
const NEWS = [
  'Our line 4 is closed between Harbour and Old Town while the rails are renewed.',
  'Replacement buses leave every ten minutes from the stop in front of the station.',
  'Please allow about twenty minutes more for your way, and mind that lifts are out of order.',
  'Monthly tickets of this month stay valid for another week; nothing needs to be done.',
  'Staff in yellow jackets will help you on the platforms from six in the morning until midnight.',
  'We are sorry for the trouble and thank you for your patience.',
];
const CHINESE = [
  '您的快递已到达小区驿站，请凭取件码取件，感谢您的支持。',
  '您预约的门诊时间已确认，请提前十五分钟到院签到。',
  '您的账户发生一笔消费，如非本人操作请立即联系客服。',
];

const KIND_TABLE: readonly Kind[] = [
  {
    share: 8,
    write: (draws) =>
      `${draws.digits(6)} is your ${draws.oneOf(BRANDS)} code. It expires in 10 minutes. Never share it with anyone.`,
  },
  {
    share: 7,
    from: 'Parcelo',
    write: (draws) => {
      const hour = 8 + draws.below(10);
      return `Hi ${draws.oneOf(NAMES)}, your parcel ${draws.digits(8)} arrives ${draws.oneOf(DAYS)} between ${hour}:00 and ${hour + 2}:00. Track it: https://example.com/t/${draws.digits(8)}`;
    },
  },
  {
    share: 5,
    from: 'Clinic',
    write: (draws) =>
      `Reminder: your appointment with Dr. ${draws.oneOf(DOCTORS)} is ${draws.oneOf(DAYS)} at ${8 + draws.below(9)}:${draws.oneOf(['00', '15', '30', '45'])}. Reply C to confirm or R to move it.`,
  },
  {
    share: 3,
    from: 'Northbank',
    write: (draws) =>
      `Your card ending ${draws.digits(4)} was charged EUR ${1 + draws.below(300)}.${draws.digits(2)} at ${draws.oneOf(SHOPS)}. Not you? Call the number on your card.`,
  },
  { share: 2, write: (draws) => `Your table for ${2 + draws.below(7)} is ready. See you soon!` },
  {
    share: 3,
    from: 'CityRail',
    write: (draws) => {
      const count = 3 + draws.below(10);
      const sentences = Array.from({ length: count }, () => draws.oneOf(NEWS));
      return `Dear ${draws.oneOf(NAMES)}, ${sentences.join(' ')}`;
    },
  },
  {
    share: 2,
    from: 'Velora',
    write: (draws) =>
      `Hi ${draws.oneOf(NAMES)}! 🎉 Your order ${draws.digits(6)} is on its way 🚚 and will be with you ${draws.oneOf(DAYS)}. Enjoy 😊`,
  },
  {
    share: 1,
    write: (draws) =>
      `Ваш код подтверждения: ${draws.digits(6)}. Никому не сообщайте его, даже сотрудникам банка.`,
  },
  { share: 1, write: (draws) => `【${draws.digits(6)}】${draws.oneOf(CHINESE)}` },
];

const KINDS = KIND_TABLE.flatMap((kind) => Array.from({ length: kind.share }, () => kind));

/** Draws that depend on run and number alone: a hash as start, a step and MurmurHash3's finaliser for each draw. */
class Draws {
  #state: number;

  constructor(run: string, smsNumber: number) {
    let hash = 0x811c9dc5;
    for (let index = 0; index < run.length; index += 1) {
      hash = Math.imul(hash ^ run.charCodeAt(index), 0x01000193);
    }
    this.#state = mixBits(mixBits(hash ^ (smsNumber | 0)) ^ Math.floor(smsNumber / 2 ** 32));
  }

  /** A whole number from 0 to limit − 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    return Math.floor(((mixBits(this.#state) >>> 0) / 2 ** 32) * limit);
  }

  oneOf<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item;
  }

  /** That many decimal digits. */
  digits(count: number): string {
    return String(this.below(10 ** count)).padStart(count, '0');
  }
}
