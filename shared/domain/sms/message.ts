/** A message as RabbitMQ hands it over, before anything in it is believed. */
export interface IncomingMessage {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly messageId?: unknown;
  readonly contentType?: unknown;
  readonly contentEncoding?: unknown;
  readonly type?: unknown;
  /** True where RabbitMQ has handed out the message before. */
  readonly isRedelivered?: boolean;
  /** Seconds since the epoch, as AMQP has it. */
  readonly timestamp?: unknown;
}

/** A message to publish. It is always persistent, and mandatory unless it is an outcome event. */
export interface OutgoingMessage {
  readonly routingKey: string;
  readonly messageId: string;
  readonly type: 'sms' | 'journal' | 'parked' | 'ledger' | 'outcome';
  readonly contentType: string;
  /** Only of a parked message: as its client set it. */
  readonly contentEncoding?: string;
  readonly timestampMs: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Buffer;
}
