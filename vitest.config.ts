import { configDefaults, defineConfig } from 'vitest/config';

const everywhere = [...configDefaults.exclude, 'dist/**', 'dist.*/**', '.redial/**'];

export default defineConfig({
  test: {
    // Most of a test of processes is waiting.
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...everywhere, '**/*.integration.test.ts', 'tests/**'],
          // A law is tried with many values, beside servers that are busy.
          testTimeout: 30_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: ['**/*.integration.test.ts', 'tests/**/*.test.ts'],
          exclude: [...everywhere, 'tests/faults.test.ts', 'tests/faults/*.test.ts'],
          globalSetup: ['./tests/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'faults',
          include: ['tests/faults.test.ts', 'tests/faults/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 120_000,
          // Most of a run is waiting, and more at once would wait for each other.
          maxConcurrency: 4,
        },
      },
    ],
  },
});
