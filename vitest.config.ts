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
          testTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: ['**/*.integration.test.ts', 'tests/**/*.test.ts'],
          exclude: [...everywhere, 'tests/faults.test.ts', 'tests/faults/*.test.ts'],
          globalSetup: ['./tests/global-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'faults',
          include: ['tests/faults.test.ts', 'tests/faults/*.test.ts'],
          testTimeout: 480_000,
          hookTimeout: 300_000,
          // Most of a run is waiting, and more at once would wait for each other.
          maxConcurrency: 4,
          // After the others: they measure times on their own RabbitMQ.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
