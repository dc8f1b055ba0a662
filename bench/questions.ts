import type { Question } from './bench.ts';
import { drain } from './drain.ts';
import { publish } from './publish.ts';

/** In the order they are asked. */
export const QUESTIONS: readonly Question[] = [publish, drain];
