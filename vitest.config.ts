import { configDefaults, defineConfig } from 'vitest/config';

const everywhere = [...configDefaults.exclude, 'dist/**', 'dist.*/**', '.redial/**'];

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [...everywhere, '**/*.integration.test.ts', 'tests/**'],
        },
      },
      {
        extends: true,
        test: {
          name: 'servers',
          include: ['**/*.integration.test.ts', 'tests/**/*.test.ts'],
          exclude: everywhere,
          globalSetup: ['./tests/global-setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
