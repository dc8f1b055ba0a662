import type { TestProject } from 'vitest/node';
import { startTestServers, type TestServers } from './kit/process/test-servers.ts';

declare module 'vitest' {
  interface ProvidedContext {
    servers: TestServers;
  }
}

export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const { servers, stop } = await startTestServers();
  project.provide('servers', servers);
  return stop;
}
