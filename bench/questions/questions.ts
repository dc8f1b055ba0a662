import type { Question } from '../question.ts';
import { api } from './api.ts';
import { concurrency } from './concurrency.ts';
import { drain } from './drain.ts';
import { nativeRetry } from './native-retry.ts';
import { publish } from './publish.ts';
import { retries } from './retries.ts';
import { severalSenders } from './several-senders.ts';
import { startUp } from './start-up.ts';
import { waiting } from './waiting.ts';

/** In the order they are asked. */
export const QUESTIONS: readonly Question[] = [
  publish,
  drain,
  retries,
  nativeRetry,
  waiting,
  concurrency,
  severalSenders,
  startUp,
  api,
];
