export const SERVER_NAMES = ['rabbitmq', 'redis', 's3'] as const;
export type ServerName = (typeof SERVER_NAMES)[number];

/** As they are called in sentences. */
export const SERVER_TITLES: Readonly<Record<ServerName, string>> = {
  rabbitmq: 'RabbitMQ',
  redis: 'Redis',
  s3: 'S3',
};

/** Environment variables that tell a child process where a server is. */
export type ServerAddress = Readonly<Record<string, string>>;

/** Some servers that are up, and how to stop them. */
export interface RunningServers {
  readonly addresses: Partial<Readonly<Record<ServerName, ServerAddress>>>;
  /** Where they come from, for the person: "private instances, data in .redial/". */
  readonly origin: string;
  /** The folder of the embedded S3 server, where objects are files. */
  readonly objectsFolder?: string;
  stop(): Promise<void>;
}
