/**
 * Remembers, outside of this process, which SMS were begun and have not ended: an SMS that kills its sender leaves a mark.
 * Used only for deliveries that came suspiciously often.
 */
export interface StartMarks {
  /** How many starts of this SMS have not ended. */
  unendedStarts(smsId: string): Promise<number>;
  begin(smsId: string): Promise<void>;
  /** An attempt has ended, with whatever result: all marks of this SMS are taken away. */
  end(smsId: string): Promise<void>;
}
